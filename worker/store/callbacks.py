"""Callbacks as people see them: what became of each, and sending one again."""

from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, text

from confirmation.events import timestamp
from worker.store.engine import Row, named_errors, one

#: What a callback can be; the contract's words.
STATES = ("pending", "delivered", "failed", "paused")

_LIST = """
SELECT c.id, c.receipt_id, c.sequence, o.type, c.endpoint, c.state, c.attempts, c.due_at, c.last_status, c.last_error,
       c.created_at, c.tried_at, c.delivered_at, e.failing_since, e.paused_at
FROM payconfirm.callbacks c JOIN payconfirm.outbox o USING (id) LEFT JOIN payconfirm.endpoints e USING (endpoint_key)
WHERE {which} ORDER BY {order} LIMIT :most
"""

#: The state is written out, so that the index of what is listed most is used.
_WHICH = {None: "true"} | {state: f"c.state = '{state}'" for state in STATES}
_LISTS = {state: _LIST.format(which=which, order="c.number DESC") for state, which in _WHICH.items()}
_OF_RECEIPT = {
    state: _LIST.format(which=f"c.receipt_id = :receipt_id AND {which}", order="c.sequence DESC")
    for state, which in _WHICH.items()
}
#: A receipt has an event or two; one that is told more often than this is told of only in part.
_MOST_OF_RECEIPT = 1000

#: However many there are, it is no more than a moment's work.
_COUNT_DELIVERED = """
SELECT count(*) FROM (SELECT FROM payconfirm.callbacks WHERE state = 'delivered' LIMIT :most) delivered
"""

#: One that is on its way now isn't sent a second time beside it.
_RESEND = """
UPDATE payconfirm.callbacks SET
    state = 'pending', attempts = 0, by_hand = true, due_at = clock_timestamp(), leased_until = NULL, fence = NULL,
    delivered_at = NULL
WHERE id = CAST(:id AS uuid) AND (leased_until IS NULL OR leased_until <= clock_timestamp())
RETURNING id
"""

_KNOWN = "SELECT id FROM payconfirm.callbacks WHERE id = CAST(:id AS uuid)"

_PAUSED = """
SELECT e.endpoint, e.failing_since, e.paused_at,
       (SELECT count(*) FROM payconfirm.callbacks c
        WHERE c.state = 'paused' AND c.endpoint_key = e.endpoint_key) AS kept
FROM payconfirm.endpoints e WHERE e.paused_at IS NOT NULL ORDER BY e.paused_at
"""

_TIMES = ("due_at", "created_at", "tried_at", "delivered_at", "failing_since", "paused_at")


class Callbacks:
    """The table of callbacks, for people on duty."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def listed(self, state: str | None, most: int, receipt_id: str | None = None) -> list[dict[str, Any]]:
        """The newest first, of one state or of all, of one receipt or of all. Raises `ValueError` for no such state.

        The endpoint is the callback_url without its query, which may hold what only the shop should know.
        """
        if state not in _LISTS:
            raise ValueError(f"a callback's state is one of {', '.join(STATES)}")
        statement = (_LISTS if receipt_id is None else _OF_RECEIPT)[state]
        with named_errors(), self._engine.connect() as connection:
            rows = connection.execute(text(statement), {"most": most, "receipt_id": receipt_id}).mappings()
            return [_document(dict(row)) for row in rows]

    def delivered(self, most: int) -> int:
        """How many were delivered, counted up to so many."""
        with named_errors(), self._engine.connect() as connection:
            return int(connection.execute(text(_COUNT_DELIVERED), {"most": most}).scalar_one())

    def resend(self, callback_id: str | UUID) -> bool:
        """Have it sent again now, whatever became of it; False where it is on its way at this moment.

        It has all its tries anew. Raises `LookupError` for one that there isn't. Wake the relay afterwards.
        """
        try:
            named = {"id": str(callback_id if isinstance(callback_id, UUID) else UUID(callback_id))}
        except ValueError:
            raise LookupError("no callback has such an id: it is a UUID") from None
        with named_errors(), self._engine.connect() as connection:
            if one(connection, _RESEND, named):
                return True
            if one(connection, _KNOWN, named):
                return False
        raise LookupError(f"no callback {named['id']}")

    def paused(self) -> list[dict[str, Any]]:
        """The endpoints that are paused, the longest first, and how many callbacks each keeps."""
        with named_errors(), self._engine.connect() as connection:
            rows = connection.execute(text(_PAUSED)).mappings()
            return [_document(dict(row)) for row in rows]


def of_receipt(connection: Connection, receipt_id: str) -> list[dict[str, Any]]:
    """The callbacks of one receipt in the order of its events, read where its story is read."""
    named = {"most": _MOST_OF_RECEIPT, "receipt_id": receipt_id}
    rows = connection.execute(text(_OF_RECEIPT[None]), named).mappings()
    return [_document(dict(row)) for row in rows][::-1]


def _document(row: Row) -> dict[str, Any]:
    if "id" in row:
        row["id"] = str(row["id"])
    for name in _TIMES:
        if row.get(name) is not None:
            row[name] = timestamp(row[name])
    return row
