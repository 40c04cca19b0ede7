"""What people do to rows, each act with its step; where the shop has a part in it, in one transaction with that."""

from uuid import UUID, uuid4

from sqlalchemy import Connection, Engine

from confirmation import operators
from confirmation.errors import HookFailed
from confirmation.hooks import KNOWN, Hook, part_in
from confirmation.operating import Standing
from confirmation.operators import PHASE, Act
from confirmation.states import Reason, State
from worker.store import statements
from worker.store.engine import Row, named_errors, one
from worker.store.rows import to_confirmation
from worker.store.together import Together, transaction

_STEP = """
step AS (
    INSERT INTO payconfirm.steps (id, receipt_id, fence, attempt, phase, seen, decided, detail)
    SELECT CAST(:step_id AS uuid), receipt_id, fence, attempts, :phase, '', :decided,
           'by ' || :by || ', it was ' || was
    FROM moved
)"""

#: As a webhook asks for a look, and for one that kept crashing the count begins anew.
_RETRY = f"""
WITH moved AS (
    UPDATE payconfirm.confirmations SET due_at = clock_timestamp(), asked = true, idle_claims = 0
    WHERE receipt_id = :receipt_id AND state NOT IN ('confirmed', 'voided')
    RETURNING *, state AS was
), {_STEP}
SELECT * FROM moved
"""

#: Whoever is writing the row has done so when the next statement begins, and that one sees what is held by then.
_TURN = """
SELECT *, pg_current_xact_id()::text AS xid FROM payconfirm.confirmations WHERE receipt_id = :receipt_id FOR UPDATE
"""

#: Only what this act is about is written: what a worker has counted meanwhile, cancels above all, stays. The fresh
#: fence ends any claim on the row. What was seen is forgotten, so that a cancel that had failed is tried once more.
_VOID = f"""
WITH moved AS (
    UPDATE payconfirm.confirmations SET
        state = 'voiding', reason = 'operator', void_reason = 'operator', message = '', review_from = NULL,
        owns_order = false, hooked = :hooked,
        fence = CAST(:fence AS uuid), leased_until = NULL, due_at = clock_timestamp(),
        seen = NULL, looks = 0, parks = 0, idle_claims = 0,
        updated_at = clock_timestamp(), state_since = clock_timestamp()
    WHERE receipt_id = :receipt_id AND state = :from_state AND state IN ('confirmed', 'review')
    RETURNING *, CAST(:from_state AS text) AS was
), {_STEP},
released AS (
    UPDATE payconfirm.reservations r SET state = 'released' FROM moved
    WHERE r.receipt_id = moved.receipt_id AND (r.state = 'held' OR (r.state = 'sold' AND :restock))
    RETURNING r.sku, r.quantity
),
shelf AS (
    SELECT sku FROM payconfirm.stock WHERE sku IN (SELECT sku FROM released) ORDER BY sku FOR UPDATE
),
returned AS (
    UPDATE payconfirm.stock s SET available = s.available + released.quantity
    FROM released JOIN shelf USING (sku) WHERE s.sku = released.sku
)
SELECT * FROM moved
"""

#: A receipt takes each item once: what it gave back makes room to be taken anew, what it sold is out of the shelf.
_MAKE_ROOM = """
WITH made AS (
    DELETE FROM payconfirm.reservations r USING payconfirm.confirmations c
    WHERE r.receipt_id = :receipt_id AND r.state = 'released'
      AND c.receipt_id = r.receipt_id AND c.fence = CAST(:fence AS uuid)
)
SELECT COALESCE(array_agg(sku), '{}') AS sold FROM payconfirm.reservations
WHERE receipt_id = :receipt_id AND state = 'sold'
"""


#: What a person tried and the shop's hook failed at changes nothing, and is part of the story.
_TRIED = """
INSERT INTO payconfirm.steps (id, receipt_id, fence, attempt, phase, seen, decided, detail)
SELECT CAST(:step_id AS uuid), receipt_id, fence, attempts, :phase, '', :decided, 'by ' || :by || '; ' || :why
FROM payconfirm.confirmations WHERE receipt_id = :receipt_id
RETURNING id
"""


class Operating:
    """`confirmation.operating.Rows` on PostgreSQL."""

    def __init__(self, engine: Engine, hook: Hook | None = None) -> None:
        self._engine = engine
        self._hook = hook

    def standing(self, receipt_id: str) -> Standing:
        """How the receipt stands. Raises `LookupError` for one without a row."""
        row = self._one(statements.READ, {"receipt_id": receipt_id})
        if row is None:
            raise LookupError(f"no receipt {receipt_id}")
        return Standing(to_confirmation(row), row["fence"])

    def retry(self, receipt_id: str, by: str) -> bool:
        """Have it looked at now, by whoever comes first; say whether it can be."""
        return self._one(_RETRY, {"receipt_id": receipt_id} | _step(Act.RETRY, by)) is not None

    def void(self, receipt_id: str, seen: State, by: str, *, restock: bool) -> bool:
        """Have its money sent back, if it is still in the state that the person saw; say whether it was.

        Raises `HookFailed`: then nothing was changed.
        """
        decided = "void, what was sold comes back" if restock else Act.VOID.value
        values = {"receipt_id": receipt_id, "from_state": seen, "fence": str(uuid4()), "restock": restock}
        try:
            with named_errors(), transaction(self._engine) as connection:
                return self._void(connection, values | _step(decided, by))
        except HookFailed as failed:
            tried = _step(f"{decided}: {Reason.HOOK_FAILED}", by) | {"receipt_id": receipt_id, "why": str(failed)}
            self._one(_TRIED, tried)
            raise

    def _void(self, connection: Connection, values: Row) -> bool:
        turn = one(connection, _TURN, values)
        if turn is None or turn["state"] != values["from_state"]:
            return False
        before = to_confirmation(turn)
        after = operators.voiding(before)
        method = part_in(self._hook, before, after)
        if self._hook and method and self._hook.has(method):
            Together(self._hook, method, after).write(connection, turn["xid"])
        hooked = KNOWN.get(method) if method else before.hooked
        return one(connection, _VOID, values | {"hooked": hooked}) is not None

    def make_room(self, receipt_id: str, fence: UUID) -> frozenset[str]:
        """Let what the receipt gave back be taken anew, under the claim; give what is still sold to it."""
        row = self._one(_MAKE_ROOM, {"receipt_id": receipt_id, "fence": str(fence)})
        return frozenset(row["sold"] if row else ())

    def _one(self, statement: str, values: Row) -> Row | None:
        with named_errors(), self._engine.connect() as connection:
            return one(connection, statement, values)


def _step(decided: str, by: str) -> dict[str, str]:
    return {"step_id": str(uuid4()), "phase": PHASE, "decided": decided, "by": by}
