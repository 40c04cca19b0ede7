"""The schema is brought up to date under way: rows stay, workers go on, and it is safe to repeat."""

import pytest
from alembic import command
from sqlalchemy import text

from confirmation.errors import StoreBusy
from tests.ledgers import claimed, order
from worker.store import migrations
from worker.store.engine import make_engine, named_errors
from worker.store.ledger import Ledger

HOOKED = text("SELECT receipt_id, hooked FROM payconfirm.confirmations")


@pytest.fixture
def engine(database_url):
    """A database as the release before the hook left it, with a receipt in it."""
    engine = make_engine(database_url.replace("postgresql://", "postgresql+psycopg2://"))
    claimed(Ledger(engine), order("r1"))
    with engine.execution_options(isolation_level="READ COMMITTED").begin() as connection:
        config = migrations._config()
        config.attributes["connection"] = connection
        command.downgrade(config, "0001")
    assert migrations.installed(engine) == "0001"
    yield engine
    engine.dispose()


def test_it_is_brought_up_to_date_with_its_rows_and_safe_to_repeat(engine):
    assert [migrations.migrate(engine) for _ in range(2)] == [migrations.newest()] * 2

    assert migrations.installed(engine) == migrations.newest()
    with engine.connect() as connection:
        assert [tuple(row) for row in connection.execute(HOOKED)] == [("r1", None)]


def test_it_gives_up_behind_a_long_reading_rather_than_stop_the_workers_behind_itself(engine):
    """Whoever waits for the table's own lock makes everybody else wait; the audit reads for minutes."""
    reading = engine.execution_options(isolation_level="REPEATABLE READ")
    with reading.begin() as connection:
        connection.exec_driver_sql("SELECT count(*) FROM payconfirm.confirmations")

        with pytest.raises(StoreBusy), named_errors():
            migrations.migrate(engine)

    assert migrations.installed(engine) == "0001"
    assert migrations.migrate(engine) == migrations.newest()
