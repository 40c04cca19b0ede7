"""`due_at` as the sweep reads it: which rows must be looked at again, unless somebody moved them first."""

from dataclasses import dataclass
from datetime import timedelta
from enum import IntEnum
from uuid import UUID

from sqlalchemy import Engine, text

from worker.store.engine import named_errors

#: A message that was sent is given this long before it is sent again.
SENT_AGAIN_AFTER = timedelta(seconds=5)
#: Rows that are woken in one statement, which has 4 s.
WAKEN_AT_ONCE = 2000


class Lane(IntEnum):
    """The lines that due rows stand in, in the order in which they are served."""

    LEASED = 0
    PARKED = 1
    NEVER_CLAIMED = 2


@dataclass(frozen=True)
class Due:
    """A row to be looked at, and the fence that was seen on it."""

    receipt_id: str
    fence: UUID | None


_TAKE = """
WITH due AS (
    SELECT receipt_id FROM payconfirm.confirmations
    WHERE lane = :lane AND due_at <= clock_timestamp()
    ORDER BY due_at LIMIT :most FOR UPDATE SKIP LOCKED
)
UPDATE payconfirm.confirmations c SET due_at = clock_timestamp() + CAST(:after AS interval)
FROM due WHERE c.receipt_id = due.receipt_id
RETURNING c.receipt_id, c.fence
"""

#: What is past its deadline is told so, or people are asked, at its next look, whatever the gateway says or doesn't.
_TAKE_LATE = """
WITH due AS (
    SELECT receipt_id FROM payconfirm.confirmations
    WHERE lane IN (:parked, :never_claimed) AND due_at <= clock_timestamp()
      AND state IN ('received', 'submitting') AND created_at <= clock_timestamp() - CAST(:deadline AS interval)
    ORDER BY created_at LIMIT :most FOR UPDATE SKIP LOCKED
)
UPDATE payconfirm.confirmations c SET due_at = clock_timestamp() + CAST(:after AS interval)
FROM due WHERE c.receipt_id = due.receipt_id
RETURNING c.receipt_id, c.fence
"""

#: However long the queue is, a row never claimed is sent once more when half its deadline is gone, and at its end.
_TAKE_OVERDUE = """
WITH due AS (
    SELECT receipt_id FROM payconfirm.confirmations
    WHERE lane = :lane AND due_at <= clock_timestamp() - CAST(:half AS interval)
    ORDER BY due_at LIMIT :most FOR UPDATE SKIP LOCKED
)
UPDATE payconfirm.confirmations c SET due_at = clock_timestamp() + CAST(:half AS interval)
FROM due WHERE c.receipt_id = due.receipt_id
RETURNING c.receipt_id, c.fence
"""

#: What couldn't be sent would otherwise be too late before it is sent again.
_GIVE_BACK = """
UPDATE payconfirm.confirmations SET due_at = clock_timestamp() - CAST(:half AS interval)
WHERE receipt_id = ANY(:receipt_ids) AND lane = :lane
RETURNING receipt_id, fence
"""

#: Of what is open: being looked at too early costs a call and nothing else.
_WAKE = """
WITH parked AS (
    SELECT receipt_id FROM payconfirm.confirmations
    WHERE lane = :lane AND due_at > clock_timestamp() AND state IN ('received', 'submitting', 'voiding', 'review')
      AND updated_at >= clock_timestamp() - CAST(:since AS interval)
    ORDER BY due_at LIMIT :most FOR UPDATE SKIP LOCKED
)
UPDATE payconfirm.confirmations c SET due_at = clock_timestamp()
FROM parked WHERE c.receipt_id = parked.receipt_id
RETURNING c.receipt_id, c.fence
"""


class Schedule:
    """Takes due rows, a batch at a time; each taken row is due again a little later."""

    def __init__(self, engine: Engine, deadline: timedelta) -> None:
        self._engine = engine
        self._deadline = deadline
        self._half = deadline / 2

    def take(self, lane: Lane, most: int) -> list[Due]:
        """Take up to so many rows that are due; another relay never takes the same ones."""
        return self._run(_TAKE, {"lane": lane, "most": most, "after": SENT_AGAIN_AFTER})

    def take_late(self, most: int) -> list[Due]:
        """Take up to so many undecided rows that are due and past their deadline, the oldest first."""
        lanes = {"parked": Lane.PARKED, "never_claimed": Lane.NEVER_CLAIMED}
        return self._run(_TAKE_LATE, lanes | {"deadline": self._deadline, "most": most, "after": SENT_AGAIN_AFTER})

    def take_overdue(self, most: int) -> list[Due]:
        """Take rows never claimed that have been due for half their deadline."""
        return self._run(_TAKE_OVERDUE, {"lane": Lane.NEVER_CLAIMED, "most": most, "half": self._half})

    def give_back(self, overdue: list[Due]) -> None:
        """Make these overdue again, unless somebody has claimed them meanwhile."""
        names = [due.receipt_id for due in overdue]
        self._run(_GIVE_BACK, {"receipt_ids": names, "lane": Lane.NEVER_CLAIMED, "half": self._half})

    def wake(self, seconds: float) -> None:
        """Make what was parked within so many seconds due now."""
        values = {"lane": Lane.PARKED, "since": timedelta(seconds=seconds), "most": WAKEN_AT_ONCE}
        while len(self._run(_WAKE, values)) == WAKEN_AT_ONCE:
            pass

    def _run(self, statement: str, values: dict[str, object]) -> list[Due]:
        with named_errors(), self._engine.connect() as connection:
            rows = connection.execute(text(statement), values)
            return [Due(row.receipt_id, row.fence) for row in rows]
