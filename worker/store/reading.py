"""How things stand, for those who ask: the result document of a receipt, and its story."""

from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Engine, text

from confirmation.confirmation import Confirmation
from confirmation.events import result_document
from worker.store.callbacks import of_receipt
from worker.store.engine import named_errors
from worker.store.rows import to_confirmation

#: A final document is the one that was announced: it never changes under one sequence, whatever looks came later.
_RESULT = """
SELECT c.*, o.document AS announced FROM payconfirm.confirmations c
LEFT JOIN payconfirm.outbox o ON o.receipt_id = c.receipt_id AND o.sequence = c.sequence
     AND c.state IN ('rejected', 'confirmed', 'voided')
WHERE c.receipt_id = :receipt_id
"""

_STORY = """
SELECT at, attempt, phase, seen, decided, detail, stale FROM payconfirm.steps
WHERE receipt_id = :receipt_id ORDER BY number
"""

_ROW = """
SELECT c.*, clock_timestamp() AS read_at FROM payconfirm.confirmations c WHERE receipt_id = :receipt_id
"""

_EVENTS = """
SELECT sequence, type, id, at, published_at FROM payconfirm.outbox
WHERE receipt_id = :receipt_id ORDER BY sequence
"""


_OF_ORDER = """
SELECT receipt_id, state, reason, created_at FROM payconfirm.confirmations
WHERE order_id = :order_id ORDER BY created_at, receipt_id LIMIT :most
"""


class OfOrder(NamedTuple):
    """One receipt of an order."""

    receipt_id: str
    state: str
    reason: str | None
    created_at: datetime


class StoryStep(NamedTuple):
    """One line of a receipt's story."""

    at: datetime
    attempt: int
    phase: str
    seen: str
    decided: str
    detail: str
    stale: bool


class StoryEvent(NamedTuple):
    """One announcement of a receipt; not yet published where it has no time for it."""

    sequence: int
    type: str
    id: UUID
    at: datetime
    published_at: datetime | None


class WholeStory(NamedTuple):
    """All that is known of a receipt, at one moment."""

    confirmation: Confirmation
    #: The database's own time, which the others are to be compared with.
    read_at: datetime
    due_at: datetime | None
    leased_until: datetime | None
    steps: list[StoryStep]
    events: list[StoryEvent]
    #: As `worker.store.callbacks` gives them, in their order.
    callbacks: list[dict[str, Any]]


class Reading:
    """Reads; changes nothing."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def result(self, receipt_id: str) -> dict[str, Any] | None:
        """The result document as it stands; None for a receipt without a row."""
        with named_errors(), self._engine.connect() as connection:
            row = connection.execute(text(_RESULT), {"receipt_id": receipt_id}).mappings().one_or_none()
        if row is None:
            return None
        announced: dict[str, Any] | None = row["announced"]
        return announced or result_document(to_confirmation(dict(row)))

    def whole_story(self, receipt_id: str) -> WholeStory | None:
        """The row, its steps, events and callbacks, all as of one moment; None for a receipt without a row."""
        once = self._engine.execution_options(isolation_level="REPEATABLE READ")
        named = {"receipt_id": receipt_id}
        with named_errors(), once.connect() as connection:
            row = connection.execute(text(_ROW), named).mappings().one_or_none()
            if row is None:
                return None
            steps = [StoryStep(*step) for step in connection.execute(text(_STORY), named)]
            events = [StoryEvent(*event) for event in connection.execute(text(_EVENTS), named)]
            calls = of_receipt(connection, receipt_id)
        times = (row["read_at"], row["due_at"], row["leased_until"])
        return WholeStory(to_confirmation(dict(row)), *times, steps, events, calls)

    def of_order(self, order_id: str, most: int) -> list[OfOrder]:
        """The receipts of an order, the first that came first."""
        named = {"order_id": order_id, "most": most}
        with named_errors(), self._engine.connect() as connection:
            return [OfOrder(*row) for row in connection.execute(text(_OF_ORDER), named)]
