"""A shop's transaction never waits for another receipt, and of its own no longer than it must."""

import threading

import psycopg2
import pytest
from psycopg2 import errors
from sqlalchemy import text

from tests.integration.sql_shops import ISOLATIONS, NO_WAIT, enqueue


@pytest.fixture
def shop(connect):
    return connect()


@pytest.mark.parametrize("isolation", ISOLATIONS)
def test_it_never_waits_for_another_receipt_nor_fails_for_one(engine, connect, isolation):
    """Ten shops have a transaction open at once, of one order and of others, and all of them commit."""
    shops = [connect() for _ in range(10)]
    for number, shop in enumerate(shops):
        shop.set_session(isolation_level=isolation)
        shop.cursor().execute(NO_WAIT)
        enqueue(shop, receipt_id=f"a{number}")
    for number, shop in enumerate(shops):
        enqueue(shop, receipt_id=f"b{number}", order_id=f"order-{number}")
        enqueue(shop, receipt_id=f"a{number}")
    for shop in shops:
        shop.commit()

    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM payconfirm.confirmations")).scalar_one() == 20


@pytest.mark.parametrize("isolation", ISOLATIONS[:2])
def test_it_does_not_wait_for_the_worker_that_is_just_writing_the_row(engine, shop, isolation):
    enqueue(shop)
    shop.commit()
    shop.set_session(isolation_level=isolation)
    with engine.execution_options(isolation_level="READ COMMITTED").begin() as worker:
        worker.execute(text("UPDATE payconfirm.confirmations SET attempts = 1"))
        shop.cursor().execute(NO_WAIT)

        assert enqueue(shop)["attempts"] == 0


def test_of_the_same_receipt_it_waits_no_longer_than_the_shop_says(connect):
    """Nobody can know whether the other transaction will commit."""
    first, second = connect(), connect()
    enqueue(first)
    second.cursor().execute(NO_WAIT)

    with pytest.raises(errors.LockNotAvailable):
        enqueue(second)


@pytest.mark.parametrize(
    ("commits", "changes", "code"),
    [(True, {}, None), (False, {}, None), (True, {"items": []}, "PF409"), (False, {"items": []}, None)],
)
def test_of_two_open_transactions_of_a_receipt_the_second_goes_by_how_the_first_ends(
    engine, connect, commits, changes, code
):
    first, second = connect(), connect()
    enqueue(first)
    codes = []

    def enqueue_second():
        try:
            enqueue(second, **changes)
            codes.append(None)
        except psycopg2.Error as refused:
            codes.append(refused.pgcode)

    waiting = threading.Thread(target=enqueue_second)
    waiting.start()
    while not blocked(engine):
        assert waiting.is_alive()
    first.commit() if commits else first.rollback()
    waiting.join()

    assert codes == [code]


def blocked(engine):
    with engine.connect() as connection:
        found = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query ~ 'enqueue'")
        return connection.execute(found).scalar_one()


@pytest.mark.parametrize("isolation", ISOLATIONS[1:])
def test_a_row_that_came_after_the_transaction_began_asks_for_another_try(connect, isolation):
    """As PostgreSQL does for every other row at these levels."""
    other, shop = connect(), connect()
    shop.set_session(isolation_level=isolation)
    shop.cursor().execute("SELECT 1")
    enqueue(other)
    other.commit()

    with pytest.raises(errors.SerializationFailure):
        enqueue(shop)
    shop.rollback()
    assert enqueue(shop)["state"] == "received"
