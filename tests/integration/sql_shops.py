"""What the tests of the SQL door share: a document, the shop's connections, and the row as it stands."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import psycopg2
from sqlalchemy import text

DOCUMENT = {
    "receipt_id": "r1",
    "order_id": "주문-1",
    "amount": "10.50",
    "currency": "USD",
    "items": [{"sku": "tee", "quantity": 2}, {"sku": "cap", "quantity": 1}, {"sku": "tee", "quantity": 3}],
    "callback_url": "https://shop.example/hook",
    "metadata": {"cart": "c-77", "rate": 1.50},
}
ISOLATIONS = ("READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE")
#: Whoever has to wait for anybody gets an error instead.
NO_WAIT = "SET lock_timeout = '1ms'"


@contextmanager
def connections(url: str) -> Iterator[Callable[[], psycopg2.extensions.connection]]:
    """Connect as often as is asked for; all are closed in the end."""
    with ExitStack() as stack:

        def connect():
            connection = psycopg2.connect(url)
            stack.callback(connection.close)
            return connection

        yield connect


def enqueue(connection, **changes):
    cursor = connection.cursor()
    cursor.execute("SELECT payconfirm.enqueue(%s::jsonb)", [json.dumps(DOCUMENT | changes)])
    return cursor.fetchone()[0]


def row(engine, receipt_id="r1"):
    with engine.connect() as connection:
        found = connection.execute(
            text("SELECT * FROM payconfirm.confirmations WHERE receipt_id = :id"), {"id": receipt_id}
        )
        return found.mappings().one_or_none()
