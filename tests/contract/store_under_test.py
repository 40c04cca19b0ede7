"""What the store's contract needs of a store beside its port: time that can be moved, and eyes.

A store takes part by a context manager that yields a `StoreUnderTest`: `twin` here, `ledger` beside it.
"""

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from confirmation.confirmation import Confirmation
from confirmation.hooks import Hook
from confirmation.operating import Rows
from confirmation.ports import Store
from confirmation.states import State
from sandbox.twins import Twins


@dataclass(frozen=True)
class Row:
    """One row of `confirmations`, as anybody may read it."""

    confirmation: Confirmation
    fence: UUID | None
    leased_until: datetime | None
    due_at: datetime | None


@dataclass(frozen=True)
class Told:
    """One row of `outbox`."""

    id: UUID
    sequence: int
    type: str
    document: dict[str, Any]


@dataclass(frozen=True)
class Shelf:
    """One row of `stock`, with what its reservations say."""

    available: int
    held: int
    sold: int


class StoreUnderTest(Protocol):
    """A store, seen from outside."""

    store: Store

    def now(self) -> datetime:
        """Give the store's own time."""

    def advance(self, seconds: float) -> None:
        """Have it be so much later; a real store's rows are moved into the past instead."""

    def as_it_is_now(self, moment: datetime) -> datetime:
        """Give a moment that was read before, as the rows have it since time was moved."""

    def row(self, receipt_id: str) -> Row | None:
        """Read a row."""

    def ask(self, receipt_id: str) -> None:
        """Have a row looked at, as a webhook does."""

    def set_hook(self, hook: Hook) -> None:
        """Give the shop a part in the commits."""

    @property
    def operating(self) -> Rows:
        """Give the rows as people get at them."""

    def void(self, receipt_id: str, seen: State) -> bool:
        """Void it as a person does who saw it in this state."""

    def set_stock(self, sku: str, available: int) -> None:
        """Make so many available."""

    def stock(self, sku: str) -> Shelf:
        """Count an item."""

    def steps(self, receipt_id: str) -> list[str]:
        """Give what each step decided, oldest first."""

    def outbox(self, receipt_id: str) -> list[Told]:
        """Give what was told, in order."""

    def polled(self, receipt_id: str) -> list[dict[str, Any]]:
        """Give the documents that wait to be stored for those who poll because somebody asked again."""


class TwinUnderTest:
    """The twin in memory."""

    def __init__(self):
        self._twins = Twins()
        self.store = self._twins.store

    def now(self):
        return self._twins.clock.now()

    def advance(self, seconds):
        self._twins.clock.advance(seconds)

    def as_it_is_now(self, moment):
        return moment

    def row(self, receipt_id):
        row = self.store.rows.get(receipt_id)
        return row and Row(row.confirmation, row.fence, row.leased_until, row.due_at)

    def ask(self, receipt_id):
        self.store.look_now(receipt_id)

    def set_hook(self, hook):
        self.store.hook = hook

    @property
    def operating(self):
        return self._twins.operating

    def void(self, receipt_id, seen):
        return self.operating.void(receipt_id, seen, "kim", restock=False)

    def set_stock(self, sku, available):
        self.store.stock.put(sku, available)

    def stock(self, sku):
        count = self.store.stock.counts[sku]
        return Shelf(count.available, count.held, count.sold)

    def steps(self, receipt_id):
        return [step.decided for step in self.store.steps.get(receipt_id, [])]

    def outbox(self, receipt_id):
        return [
            Told(told.id, told.sequence, told.type, told.document) for told in self.store.outbox.get(receipt_id, [])
        ]

    def polled(self, receipt_id):
        return [told.document for told in self.store.told_again if told.document["receipt_id"] == receipt_id]


@contextmanager
def twin(request):
    del request
    yield TwinUnderTest()
