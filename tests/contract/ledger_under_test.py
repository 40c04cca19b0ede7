"""The real store, PostgreSQL behind it, as the store's contract sees it."""

from contextlib import contextmanager
from datetime import timedelta

from sqlalchemy import text

from tests.contract.store_under_test import Row, Shelf, Told
from worker.store.engine import make_engine
from worker.store.ledger import Ledger
from worker.store.operating import Operating
from worker.store.rows import to_confirmation
from worker.store.stock import Stock

#: Every moment that a row holds; moving them into the past is how time passes for a store with a clock of its own.
MOMENTS = ("leased_until", "due_at", "seen_since", "submitted_until", "created_at", "updated_at", "state_since")


class LedgerUnderTest:
    """The ledger, its rows read and moved by SQL."""

    def __init__(self, engine):
        self._engine = engine
        self._moved = timedelta()
        self.store = Ledger(engine)

    def now(self):
        return self._one("SELECT clock_timestamp() AS now")["now"]

    def advance(self, seconds):
        moves = ", ".join(f"{moment} = {moment} - CAST(:by AS interval)" for moment in MOMENTS)
        self._run(f"UPDATE payconfirm.confirmations SET {moves}", by=timedelta(seconds=seconds))
        self._moved += timedelta(seconds=seconds)

    def as_it_is_now(self, moment):
        return moment - self._moved

    def row(self, receipt_id):
        row = self._one("SELECT * FROM payconfirm.confirmations WHERE receipt_id = :id", id=receipt_id)
        return row and Row(to_confirmation(row), row["fence"], row["leased_until"], row["due_at"])

    def ask(self, receipt_id):
        self.store.ask(receipt_id)

    def set_hook(self, hook):
        self.store = Ledger(self._engine, hook=hook)

    @property
    def operating(self):
        return Operating(self._engine, self.store._hook)

    def void(self, receipt_id, seen):
        return self.operating.void(receipt_id, seen, "kim", restock=False)

    def set_stock(self, sku, available):
        Stock(self._engine).set(sku, available, "test")

    def stock(self, sku):
        [shelf] = Stock(self._engine).show(sku)
        return Shelf(shelf.available, shelf.held, shelf.sold)

    def steps(self, receipt_id):
        rows = self._all("SELECT decided FROM payconfirm.steps WHERE receipt_id = :id ORDER BY number", id=receipt_id)
        return [row["decided"] for row in rows]

    def outbox(self, receipt_id):
        rows = self._all(
            "SELECT id, sequence, type, document FROM payconfirm.outbox WHERE receipt_id = :id ORDER BY sequence",
            id=receipt_id,
        )
        return [Told(**row) for row in rows]

    def polled(self, receipt_id):
        rows = self._all("SELECT document FROM payconfirm.outbox WHERE receipt_id = :id AND result_due", id=receipt_id)
        return [row["document"] for row in rows]

    def _run(self, statement, **values):
        with self._engine.connect() as connection:
            connection.execute(text(statement), values)

    def _all(self, statement, **values):
        with self._engine.connect() as connection:
            return [dict(row) for row in connection.execute(text(statement), values).mappings()]

    def _one(self, statement, **values):
        rows = self._all(statement, **values)
        return rows[0] if rows else None


@contextmanager
def ledger(request):
    url = request.getfixturevalue("database_url").replace("postgresql://", "postgresql+psycopg2://")
    engine = make_engine(url)
    yield LedgerUnderTest(engine)
    engine.dispose()
