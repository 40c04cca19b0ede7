"""What our connections ask of the database, however it is set up."""

from psycopg2.extensions import make_dsn, parse_dsn

from worker.store.engine import make_engine


def test_what_is_said_to_be_written_is_whatever_the_database_is_set_to(engine, database_url):
    """
    A shop may let its own commits be lost by a crash; a job that was accepted may not be.
    """
    database = parse_dsn(make_dsn(database_url))["dbname"]
    with engine.connect() as connection:
        connection.exec_driver_sql(f'ALTER DATABASE "{database}" SET synchronous_commit = off')

    ours = make_engine(database_url.replace("postgresql://", "postgresql+psycopg2://"))
    with ours.connect() as connection:
        assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"
    ours.dispose()
