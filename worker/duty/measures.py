"""How much there is of everything, for a scrape that comes every few seconds: bounded, however long the tables are.

What is open is counted, up to a number that means "far too many". Of what has ended there may be millions: where that
is more than a moment's work, the planner's own statistics say how many, a per cent or so off.
"""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Engine, text

from confirmation.order import Money
from worker.duty.checks import BACKLOG_SECONDS, OVERDUE_SECONDS
from worker.duty.showing import money
from worker.store.engine import named_errors

#: Nothing is counted further than this.
MOST = 100_000
#: A table of this size is read in some 20 ms.
_SMALL_BYTES = 32 * 1024 * 1024
#: A database that takes longer has no time for being measured.
_SECONDS = 1


class Measure(NamedTuple):
    """One number."""

    name: str
    label: str
    value: float


_OLDEST = "extract(epoch FROM clock_timestamp() - min(at))"

#: Each part reads from one end of an index: what is due and open, what is to be carried out, what is listed.
_OPEN = f"""
WITH looked AS MATERIALIZED (
    SELECT state, reason, lane, due_at AS at FROM payconfirm.confirmations
    WHERE due_at IS NOT NULL ORDER BY lane, due_at LIMIT :most
), due AS MATERIALIZED (
    SELECT lane, at FROM looked WHERE at <= clock_timestamp()
), events AS MATERIALIZED (
    SELECT at FROM payconfirm.outbox WHERE published_at IS NULL ORDER BY number LIMIT :most
), results AS MATERIALIZED (
    SELECT at FROM payconfirm.outbox WHERE result_due ORDER BY number LIMIT :most
), feed AS MATERIALIZED (
    SELECT at FROM payconfirm.outbox WHERE place IS NULL LIMIT :most
), callbacks AS (
    (SELECT state FROM payconfirm.callbacks WHERE state = 'pending' LIMIT :most) UNION ALL
    (SELECT state FROM payconfirm.callbacks WHERE state = 'failed' LIMIT :most) UNION ALL
    (SELECT state FROM payconfirm.callbacks WHERE state = 'paused' LIMIT :most)
)
SELECT 'confirmations', state, count(*) FROM looked
WHERE state IN ('received', 'submitting', 'voiding', 'review') GROUP BY state
UNION ALL SELECT 'review', reason, count(*) FROM looked WHERE state = 'review' GROUP BY reason
UNION ALL SELECT 'due', '', count(*) FROM due
UNION ALL SELECT 'overdue', '', count(*) FROM due
    WHERE at < clock_timestamp() - CASE lane WHEN 2 THEN interval '{BACKLOG_SECONDS} seconds'
                                   ELSE interval '{OVERDUE_SECONDS} seconds' END
UNION ALL SELECT 'oldest_due', '', {_OLDEST} FROM due
UNION ALL SELECT 'outbox', 'events', count(*) FROM events
UNION ALL SELECT 'outbox', 'results', count(*) FROM results
UNION ALL SELECT 'outbox', 'feed', count(*) FROM feed
UNION ALL SELECT 'outbox_oldest', 'events', {_OLDEST} FROM events
UNION ALL SELECT 'outbox_oldest', 'results', {_OLDEST} FROM results
UNION ALL SELECT 'outbox_oldest', 'feed', {_OLDEST} FROM feed
UNION ALL SELECT 'dead_letters', '', count(*) FROM (SELECT FROM payconfirm.dead_letters LIMIT :most) letters
UNION ALL SELECT 'callbacks', state, count(*) FROM callbacks GROUP BY state
"""

_SIZE = "SELECT pg_relation_size('payconfirm.confirmations')"

_ENDED = """
SELECT 'confirmations', state, count(*) FROM payconfirm.confirmations
WHERE state IN ('confirmed', 'rejected', 'voided') GROUP BY state
"""

_ENDED_ABOUT = """
SELECT 'confirmations', common.state, round(common.part * c.reltuples)
FROM pg_class c
JOIN pg_stats s ON s.schemaname = 'payconfirm' AND s.tablename = 'confirmations' AND s.attname = 'state'
CROSS JOIN unnest(s.most_common_vals::text::text[], s.most_common_freqs) AS common (state, part)
WHERE c.oid = 'payconfirm.confirmations'::regclass AND c.reltuples > 0
  AND common.state IN ('confirmed', 'rejected', 'voided')
"""

_REVIEW = """
WITH looked AS MATERIALIZED (
    SELECT receipt_id, order_id, state, reason, message, state_since, amount, currency FROM payconfirm.confirmations
    WHERE due_at IS NOT NULL ORDER BY lane, due_at LIMIT :bound
)
SELECT receipt_id, order_id, amount, currency, reason, message, state_since AS since FROM looked
WHERE state = 'review' ORDER BY state_since, receipt_id LIMIT :most
"""


class Asked(NamedTuple):
    """A receipt in review, and what people are asked about it."""

    receipt_id: str
    order_id: str
    amount: str
    reason: str
    message: str
    since: datetime


class Measures:
    """Reads; changes nothing, and gives up rather than hold anything up."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine.execution_options(isolation_level="READ COMMITTED")

    def read(self) -> list[Measure]:
        """Every number there is."""
        with named_errors(), self._engine.begin() as connection:
            connection.execute(text(f"SET LOCAL statement_timeout = '{_SECONDS}s'"))
            rows = list(connection.execute(text(_OPEN), {"most": MOST}))
            small = connection.execute(text(_SIZE)).scalar_one() <= _SMALL_BYTES
            rows += connection.execute(text(_ENDED if small else _ENDED_ABOUT))
        return [Measure(name, label or "", float(value or 0)) for name, label, value in rows]

    def in_review(self, most: int) -> list[Asked]:
        """The receipts that people are asked about, the longest first."""
        with named_errors(), self._engine.begin() as connection:
            connection.execute(text(f"SET LOCAL statement_timeout = '{_SECONDS}s'"))
            rows = connection.execute(text(_REVIEW), {"most": most, "bound": MOST})
            return [Asked(row[0], row[1], money(Money(row.amount, row.currency)), *row[4:]) for row in rows]
