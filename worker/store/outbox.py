"""The outbox as the relay reads it: the only source of every announcement.

Each event gets its place in the feed in a short commit of its own, whatever the events' broker does: a place is drawn
once the event is there, by one relay at a time, and so a reader by place never skips a late commit. Apart from that
events are taken by lease in a short commit, published, and marked in a second one; one relay at a time takes, so that
events of a receipt stay in order. Results need no lease: storing one twice, or an older one late, changes nothing.

Whoever locks several rows does so in the order of their numbers, so that no two wait for each other.

A producer's open transaction may hold rows for as long as it likes: by the SQL door, a document that takes its receipt
over, or is the same once more, writes to the row told last. That is waited for only for a moment, and is then left out
together with what comes after it of its receipt, so that it holds up nobody else's.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

from sqlalchemy import Connection, Engine, text

from confirmation.errors import StoreBusy
from worker.store.engine import named_errors

#: How long one relay has a batch to itself. A relay that was stopped holds nothing up for longer.
LEASE_SECONDS = 10

#: Two relays take turns; in different locks, so that placing never waits for taking. Under the second one a relay of
#: the release before marks, and gives places as it does.
_TAKING, _PLACING = 0x7061_7964, 0x7061_7965

#: So long locked rows are waited for. Ours are locked for milliseconds, and leaving one of those out would cost a turn.
PATIENCE_SECONDS = 0.2

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Announcement:
    """One row of the outbox."""

    number: int
    id: UUID
    receipt_id: str
    sequence: int
    type: str
    document: dict[str, Any]
    at: datetime
    #: Of a result: whether another document has taken its receipt over since; and how often it was asked for.
    taken_back: bool = False
    asked: int = 0


class Lag(NamedTuple):
    """How many events wait to be published, and for how long the oldest has."""

    events: int
    seconds: float


#: By their receipt alone, whatever the planner believes of the rest.
_EARLIER = """
SELECT FROM (
    SELECT e.published_at, e.place FROM payconfirm.outbox e
    WHERE e.receipt_id = o.receipt_id AND e.sequence < o.sequence OFFSET 0
) earlier"""

#: One at a time of each receipt, the first that waits, so that none goes before one that is left out, and however many
#: are left out, others are found.
_TAKE = f"""
WITH line AS MATERIALIZED (
    SELECT o.number FROM payconfirm.outbox o
    WHERE o.published_at IS NULL AND (o.leased_until IS NULL OR o.leased_until <= clock_timestamp())
      AND NOT EXISTS ({_EARLIER} WHERE published_at IS NULL)
    ORDER BY o.number LIMIT :most FOR UPDATE OF o {{unless_locked}}
)
UPDATE payconfirm.outbox o SET leased_until = clock_timestamp() + CAST(:lease AS interval)
FROM line WHERE o.number = line.number
RETURNING o.number, o.id, o.receipt_id, o.sequence, o.type, o.document, o.at
"""

#: What is left out here is published once more when its lease is over.
_MARK = """
WITH line AS MATERIALIZED (
    SELECT number FROM payconfirm.outbox WHERE number = ANY(:numbers) AND published_at IS NULL
    ORDER BY number FOR UPDATE {unless_locked}
)
UPDATE payconfirm.outbox o SET published_at = clock_timestamp(), leased_until = NULL
FROM line WHERE o.number = line.number
"""

#: Those without a place are found by the index on it, where all of them stand together; sorted afterwards, so that no
#: statistics lead the planner through all that was ever told.
_PLACE = f"""
WITH unplaced AS MATERIALIZED (
    SELECT number FROM payconfirm.outbox WHERE place IS NULL
), line AS MATERIALIZED (
    SELECT o.number FROM payconfirm.outbox o
    JOIN (SELECT number FROM unplaced ORDER BY number LIMIT :among) next USING (number)
    WHERE o.place IS NULL AND NOT EXISTS ({_EARLIER} WHERE place IS NULL)
    ORDER BY o.number LIMIT :most FOR UPDATE OF o {{unless_locked}}
), drawn AS MATERIALIZED (
    SELECT number, nextval('payconfirm.feed') AS place FROM (SELECT number FROM line ORDER BY number) in_order
)
UPDATE payconfirm.outbox o SET place = drawn.place FROM drawn WHERE o.number = drawn.number
"""

#: Among so many those that aren't locked are looked for.
_PLACED_AMONG = 20_000

#: However many wait, no more are counted than that.
_LAG_COUNTED = 100_000
_LAG = """
SELECT count(*), coalesce(extract(epoch FROM clock_timestamp() - min(at)), 0)
FROM (SELECT at FROM payconfirm.outbox WHERE published_at IS NULL ORDER BY number LIMIT :most) waiting
"""

_GIVE_BACK = """
WITH line AS MATERIALIZED (
    SELECT number FROM payconfirm.outbox WHERE number = ANY(:numbers) AND published_at IS NULL
    ORDER BY number FOR UPDATE {unless_locked}
)
UPDATE payconfirm.outbox o SET leased_until = NULL FROM line WHERE o.number = line.number
"""

#: Told of another document than the receipt has now, which hasn't ended yet: who polls for that one must not read it.
_TAKEN_BACK = "o.at < c.created_at AND c.state NOT IN ('rejected', 'confirmed', 'voided')"

#: Locked for the moment of reading only, so that what can't be marked afterwards isn't read and stored again and again.
_RESULTS = f"""
SELECT o.number, o.id, o.receipt_id, o.sequence, o.type, o.document, o.at, {_TAKEN_BACK} AS taken_back, o.result_asked
FROM payconfirm.outbox o JOIN payconfirm.confirmations c USING (receipt_id)
WHERE o.result_due ORDER BY o.number LIMIT :most FOR UPDATE OF o {{unless_locked}}
"""

#: What was asked for meanwhile, by the same document once more or by one that took the receipt over, is due again.
_STORED = """
WITH line AS MATERIALIZED (
    SELECT number, stored.asked
    FROM payconfirm.outbox o
    JOIN unnest(CAST(:numbers AS bigint[]), CAST(:asked AS integer[])) AS stored (number, asked) USING (number)
    ORDER BY number FOR UPDATE OF o {unless_locked}
)
UPDATE payconfirm.outbox o SET result_due = o.result_asked <> line.asked FROM line WHERE o.number = line.number
"""


class Outbox:
    """Takes announcements and marks them as carried out."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def take_events(self, most: int) -> list[Announcement]:
        """Take the oldest unpublished events, one of each receipt, in order; empty while another relay is taking."""
        values = {"most": most, "lease": f"{LEASE_SECONDS} seconds"}

        def take(unless_locked: str) -> list[Announcement]:
            with self._alone(_TAKING) as connection:
                if connection is None:
                    return []
                rows = connection.execute(text(_TAKE.format(unless_locked=unless_locked)), values)
                return sorted((Announcement(*row) for row in rows), key=lambda event: event.number)

        return _patiently(take)

    def place(self, most: int) -> int:
        """Give the oldest events without one their places in the feed, one of each receipt; say how many.

        0 while another relay does it.
        """

        def place(unless_locked: str) -> int:
            with self._alone(_PLACING) as connection:
                if connection is None:
                    return 0
                connection.execute(text("SET LOCAL enable_seqscan = off"))
                values = {"most": most, "among": max(most, _PLACED_AMONG) if unless_locked else most}
                return connection.execute(text(_PLACE.format(unless_locked=unless_locked)), values).rowcount

        return _patiently(place)

    def mark_published(self, events: list[Announcement]) -> None:
        """Say that these events were published."""
        self._change(_MARK, _numbers(events))

    def give_back(self, events: list[Announcement]) -> None:
        """Let the events be taken again at once: they could not be published."""
        self._change(_GIVE_BACK, _numbers(events))

    def lag(self) -> Lag:
        """How far publishing is behind; more than a hundred thousand events are counted as so many."""
        with named_errors(), self._engine.connect() as connection:
            events, seconds = connection.execute(text(_LAG), {"most": _LAG_COUNTED}).one()
        return Lag(events, max(float(seconds), 0.0))

    def due_results(self, most: int) -> list[Announcement]:
        """The final results that are to be stored for those who poll."""

        def read(unless_locked: str) -> list[Announcement]:
            with self._transaction() as connection:
                rows = connection.execute(text(_RESULTS.format(unless_locked=unless_locked)), {"most": most})
                return [Announcement(*row) for row in rows]

        return _patiently(read)

    def mark_stored(self, results: list[Announcement]) -> None:
        """Say that these results were stored, or withdrawn, as they were read."""
        values = _numbers(results) | {"asked": [result.asked for result in results]}
        self._change(_STORED, values)

    def _change(self, statement: str, values: dict[str, list[int]]) -> None:
        def change(unless_locked: str) -> None:
            with self._transaction() as connection:
                connection.execute(text(statement.format(unless_locked=unless_locked)), values)

        _patiently(change)

    @contextmanager
    def _alone(self, lock: int) -> Iterator[Connection | None]:
        with self._transaction() as connection:
            alone = connection.execute(text("SELECT pg_try_advisory_xact_lock(:lock)"), {"lock": lock}).scalar_one()
            yield connection if alone else None

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        reading = self._engine.execution_options(isolation_level="READ COMMITTED")
        with named_errors(), reading.begin() as connection:
            connection.execute(text(f"SET LOCAL lock_timeout = {int(PATIENCE_SECONDS * 1000)}"))
            yield connection


def _patiently(turn: Callable[[str], Answer]) -> Answer:
    """Wait for locked rows, and where that takes too long, leave them out."""
    try:
        return turn("")
    except StoreBusy:
        return turn("SKIP LOCKED")


def _numbers(announcements: list[Announcement]) -> dict[str, list[int]]:
    return {"numbers": [announcement.number for announcement in announcements]}
