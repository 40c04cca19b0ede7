"""What could not be read, or contradicts its receipt: kept with its raw bytes and why, never dropped."""

import base64
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Engine, text

from confirmation.events import timestamp
from worker.store.engine import named_errors

#: A reason names every field that is wrong: so much is more than a document of the HTTP door's size can have.
LONGEST_REASON = 64 * 1024

_KEEP = """
INSERT INTO payconfirm.dead_letters (id, source, reason, receipt_id, task_id, raw, answer)
VALUES (CAST(:id AS uuid), :source, :reason, :receipt_id, :task_id, :raw,
        CASE WHEN CAST(:task_id AS text) IS NOT NULL THEN 'due' END)
ON CONFLICT (id) DO NOTHING
"""

_LIST = "SELECT id, at, source, reason, receipt_id, raw FROM payconfirm.dead_letters ORDER BY at DESC, id LIMIT :most"

#: A bad copy never hides a good job's result: a FAILURE stands only while the receipt has no row. Results are kept for
#: a day, so an older one has gone by itself.
_TO_ANSWER = """
SELECT d.id, d.task_id, d.reason, c.receipt_id IS NOT NULL AS has_row
FROM payconfirm.dead_letters d LEFT JOIN payconfirm.confirmations c ON c.receipt_id = substr(d.task_id, 12)
WHERE d.answer = 'due'
   OR (d.answer = 'stored' AND c.receipt_id IS NOT NULL AND d.at > clock_timestamp() - interval '25 hours')
ORDER BY d.at LIMIT :most
"""

_ANSWERED = "UPDATE payconfirm.dead_letters SET answer = :answer WHERE id = ANY(CAST(:ids AS uuid[]))"


@dataclass(frozen=True)
class DeadLetter:
    """One message that nobody can use. Without `task_id` no producer waits for an answer."""

    source: str
    reason: str
    raw: bytes
    receipt_id: str | None = None
    task_id: str | None = None
    #: Its own, so that keeping it again, since the answer was lost, keeps it once.
    id: UUID = field(default_factory=uuid4)


@dataclass(frozen=True)
class Answer:
    """What a producer who polls for an unusable document must be told: FAILURE, or nothing now that there is a row."""

    id: str
    task_id: str
    reason: str
    has_row: bool


class DeadLetters:
    """The table of dead letters."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def keep(self, letter: DeadLetter) -> None:
        """Keep it. Once this returns the message may be acknowledged."""
        values = vars(letter) | {"id": str(letter.id), "reason": _printable(letter.reason)[:LONGEST_REASON]}
        with named_errors(), self._engine.connect() as connection:
            connection.execute(text(_KEEP), values)

    def newest(self, most: int = 1000) -> list[dict[str, Any]]:
        """The newest first, as the contract's list."""
        with named_errors(), self._engine.connect() as connection:
            return [_document(row) for row in connection.execute(text(_LIST), {"most": most})]

    def to_answer(self, most: int) -> list[Answer]:
        """Those whose producers haven't been told, or were told what is no longer so."""
        with named_errors(), self._engine.connect() as connection:
            rows = connection.execute(text(_TO_ANSWER), {"most": most})
            return [Answer(str(row.id), row.task_id, row.reason, row.has_row) for row in rows]

    def mark_answered(self, answers: list[Answer]) -> None:
        """Say that these producers have been told."""
        with named_errors(), self._engine.connect() as connection:
            for answer, has_row in (("stored", False), ("withdrawn", True)):
                ids = [told.id for told in answers if told.has_row is has_row]
                connection.execute(text(_ANSWERED), {"ids": ids, "answer": answer})


def _document(row: Any) -> dict[str, Any]:  # noqa: ANN401 — a row
    return {
        "id": str(row.id),
        "at": timestamp(row.at),
        "source": row.source,
        "reason": row.reason,
        "receipt_id": row.receipt_id,
        "raw_base64": base64.b64encode(row.raw).decode(),
    }


def _printable(value: str) -> str:
    """PostgreSQL's text holds no NUL and no lone surrogates."""
    return value.replace("\0", "\\0").encode(errors="backslashreplace").decode()
