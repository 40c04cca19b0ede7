"""What the audit reads: all as of one moment, in a stream; and receipts by the page, for a walk that takes long."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, text

from confirmation.confirmation import Confirmation
from worker.store.engine import named_errors
from worker.store.rows import to_confirmation
from worker.store.statements import ASK

Row = Mapping[str, Any]

#: A check over millions of rows takes minutes; a worker's statement has 4 s.
_STATEMENT = "2h"
#: While a person reads the progress bar's terminal nothing may be fetched; a worker's session has 4 s.
_IDLE_IN_TRANSACTION = "10min"
#: So many rows of a stream are in memory at once.
_ROWS_AT_ONCE = 1000

_STATES = "SELECT state, count(*) AS receipts FROM payconfirm.confirmations GROUP BY state"

_MONEY = """
SELECT currency, sum(amount)::bigint AS minor FROM payconfirm.confirmations
WHERE state = 'confirmed' GROUP BY currency ORDER BY currency
"""

_REVIEW = """
SELECT receipt_id, order_id, reason, review_from, message, state_since, amount, currency
FROM payconfirm.confirmations WHERE state = 'review' ORDER BY state_since LIMIT :most
"""

#: Confirmed, and the last thing told of it is that somebody has cancelled it at the gateway.
_DRIFTED = """
SELECT c.receipt_id, c.order_id, c.seen, o.at, c.amount, c.currency
FROM payconfirm.outbox o JOIN payconfirm.confirmations c USING (receipt_id, sequence)
WHERE o.type = 'payconfirm.drift' AND c.state = 'confirmed' ORDER BY o.number LIMIT :most
"""

#: Announcements take a second; what waits longer than this waits for a relay, a broker or Redis.
_WAITING = """
SELECT count(*) FILTER (WHERE published_at IS NULL) AS events_unpublished,
       count(*) FILTER (WHERE result_due) AS results_unstored,
       (SELECT count(*) FROM payconfirm.dead_letters) AS dead_letters
FROM payconfirm.outbox WHERE (published_at IS NULL OR result_due) AND at < now() - interval '60 seconds'
"""

_PAGE = "SELECT * FROM payconfirm.confirmations WHERE receipt_id > :after ORDER BY receipt_id LIMIT :most"

_ONE = "SELECT * FROM payconfirm.confirmations WHERE receipt_id = :receipt_id"

#: The cancel itself was answered "already cancelled": its words stand behind the step's first one.
_ALREADY_CANCELLED = """
SELECT EXISTS (
    SELECT FROM payconfirm.steps WHERE receipt_id = :receipt_id AND NOT stale AND seen LIKE 'already cancelled%')
"""


#: A person's last word made it what it is, when the gateway said this very thing.
_SAID_BY_PEOPLE = """
SELECT detail FROM payconfirm.steps
WHERE receipt_id = :receipt_id AND NOT stale AND phase = 'operator' AND decided = 'resolve as ' || :state
  AND seen = :seen ORDER BY number DESC LIMIT 1
"""


class Snapshot:
    """The database as it was at one moment, however long the reading takes."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def stream(self, statement: str, values: Row | None = None) -> Iterator[Row]:
        """Give the rows one after the other; only some of them are in memory at once."""
        options = {"stream_results": True, "yield_per": _ROWS_AT_ONCE}
        for row in self._connection.execute(text(statement), values, execution_options=options):
            yield row._asdict()

    def states(self) -> dict[str, int]:
        """How many receipts are in each state."""
        return {row.state: row.receipts for row in self._connection.execute(text(_STATES))}

    def confirmed(self) -> dict[str, int]:
        """The money of all confirmed receipts by currency, in the smallest unit."""
        return {row.currency: row.minor for row in self._connection.execute(text(_MONEY))}

    def in_review(self, most: int) -> list[Row]:
        """What people were asked about, the longest waiting first."""
        return [dict(row) for row in self._connection.execute(text(_REVIEW), {"most": most}).mappings()]

    def drifted(self, most: int) -> list[Row]:
        """What is confirmed here and was told to be cancelled at the gateway, the oldest first."""
        return [dict(row) for row in self._connection.execute(text(_DRIFTED), {"most": most}).mappings()]

    def waiting(self) -> dict[str, int]:
        """How many announcements wait for more than a minute, and all dead letters."""
        return dict(self._connection.execute(text(_WAITING)).mappings().one())


@contextmanager
def snapshot(engine: Engine) -> Iterator[Snapshot]:
    """Read in one transaction of its own, which sees one moment and writes nothing."""
    reading = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    with named_errors(), reading.begin() as connection:
        connection.execute(text(f"SET LOCAL statement_timeout = '{_STATEMENT}'"))
        connection.execute(text(f"SET LOCAL idle_in_transaction_session_timeout = '{_IDLE_IN_TRANSACTION}'"))
        yield Snapshot(connection)


class Receipts:
    """Receipts one page after the other, each page in a statement of its own: no transaction waits for the gateway."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def page(self, after: str, most: int) -> list[Confirmation]:
        """The next receipts in the order of their ids."""
        with named_errors(), self._engine.connect() as connection:
            rows = connection.execute(text(_PAGE), {"after": after, "most": most}).mappings()
            return [to_confirmation(dict(row)) for row in rows]

    def one(self, receipt_id: str) -> Confirmation:
        """One receipt as it is now."""
        with named_errors(), self._engine.connect() as connection:
            row = connection.execute(text(_ONE), {"receipt_id": receipt_id}).mappings().one()
        return to_confirmation(dict(row))

    def ask(self, receipt_id: str) -> None:
        """Have a worker look at one, which tells what it finds."""
        with named_errors(), self._engine.connect() as connection:
            connection.execute(text(ASK), {"receipt_id": receipt_id})

    def already_cancelled(self, receipt_id: str) -> bool:
        """Whether our own cancel was answered "already cancelled"."""
        with named_errors(), self._engine.connect() as connection:
            return bool(connection.execute(text(_ALREADY_CANCELLED), {"receipt_id": receipt_id}).scalar_one())

    def said_by_people(self, receipt_id: str, state: str, seen: str) -> str | None:
        """Who ended it like this by their word, while the gateway said this; None where nobody did."""
        values = {"receipt_id": receipt_id, "state": state, "seen": seen}
        with named_errors(), self._engine.connect() as connection:
            said: str | None = connection.execute(text(_SAID_BY_PEOPLE), values).scalar_one_or_none()
        return said
