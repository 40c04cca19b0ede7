"""What must add up, each check as data: a name, the sentence that it holds the books to, and the rows that break it.

A check's SQL gives only what is wrong: each row names its `receipt_id` or its `sku`, and the other columns fill in the
message. It may ask for `:deadline`, an interval, and for `:away`, whether the gateway is away. Adding a check is adding
one here.
"""

from dataclasses import dataclass
from typing import Any

from confirmation.answers import Seen
from worker.duty.showing import of_each
from worker.store.auditing import Row

#: Waits are seconds long and a lease is at most 19 s: what is due for longer than this is forgotten. The same after a
#: deadline: the look that finds it past is due at once.
OVERDUE_SECONDS = 60
#: A row never claimed waits its turn in a long queue; longer than its deadline it doesn't.
BACKLOG_SECONDS = 900


@dataclass(frozen=True)
class Finding:
    """One thing that doesn't add up."""

    check: str
    message: str
    receipt_id: str | None = None
    sku: str | None = None

    def as_data(self) -> dict[str, Any]:
        """As JSON has it; without the subject that it isn't about."""
        return {name: value for name, value in vars(self).items() if value is not None}


@dataclass(frozen=True)
class Check:
    """One promise about the books, and how to find what breaks it."""

    name: str
    promise: str
    message: str
    sql: str

    def finding(self, row: Row) -> Finding:
        """Say what is wrong with this row."""
        words = {name: of_each(value) if isinstance(value, dict) else value for name, value in row.items()}
        return Finding(self.name, self.message.format(**words), row.get("receipt_id"), row.get("sku"))


#: Where the items are held and the order is owned: while the outcome of a submit is open.
_UNDECIDED = "(c.state = 'submitting' OR (c.state = 'review' AND c.review_from = 'submitting'))"

#: What a receipt has in one state of its reservations, as its document writes the items.
_ITEMS = """
SELECT receipt_id, jsonb_object_agg(sku, quantity) AS items FROM payconfirm.reservations
WHERE state = '{state}' GROUP BY receipt_id
"""

CHECKS = (
    Check(
        "stock",
        "what is available is what people put in, less what is held and sold, and never below zero",
        "{available} available; put in {put_in}, less {held} held and {sold} sold, makes {right}",
        """
SELECT sku, available, put_in, held, sold, put_in - held - sold AS right FROM (
    SELECT sku, sum(available) AS available, sum(put_in) AS put_in, sum(held) AS held, sum(sold) AS sold
    FROM (
        SELECT sku, available, 0 AS put_in, 0 AS held, 0 AS sold FROM payconfirm.stock
        UNION ALL SELECT sku, 0, change, 0, 0 FROM payconfirm.stock_changes
        UNION ALL SELECT sku, 0, 0, quantity, 0 FROM payconfirm.reservations WHERE state = 'held'
        UNION ALL SELECT sku, 0, 0, 0, quantity FROM payconfirm.reservations WHERE state = 'sold'
    ) moves GROUP BY sku
) shelves WHERE available <> put_in - held - sold OR available < 0 ORDER BY sku
""",
    ),
    Check(
        "sold",
        "a confirmed receipt has sold exactly its items",
        "ordered {ordered}, sold {sold}",
        f"""
SELECT c.receipt_id, c.items AS ordered, COALESCE(r.items, '{{}}') AS sold
FROM payconfirm.confirmations c LEFT JOIN ({_ITEMS.format(state="sold")}) r USING (receipt_id)
WHERE c.state = 'confirmed' AND c.items <> COALESCE(r.items, '{{}}')
""",
    ),
    Check(
        "sold_unconfirmed",
        "nothing is sold that was never confirmed",
        "{quantity} of {item} sold, but the receipt was never confirmed",
        """
SELECT r.receipt_id, r.sku AS item, r.quantity FROM payconfirm.reservations r
WHERE r.state = 'sold' AND NOT EXISTS (
    SELECT FROM payconfirm.outbox o WHERE o.receipt_id = r.receipt_id AND o.type = 'payconfirm.confirmed')
""",
    ),
    Check(
        "held",
        "a receipt whose outcome is open holds exactly its items",
        "{state}: ordered {ordered}, held {held}",
        f"""
SELECT c.receipt_id, c.state, c.items AS ordered, COALESCE(r.items, '{{}}') AS held
FROM payconfirm.confirmations c LEFT JOIN ({_ITEMS.format(state="held")}) r USING (receipt_id)
WHERE {_UNDECIDED} AND c.items <> COALESCE(r.items, '{{}}')
""",
    ),
    Check(
        "held_for_nobody",
        "nothing is held for a receipt that isn't open",
        "{quantity} of {item} held, but the receipt is {state}",
        f"""
SELECT r.receipt_id, r.sku AS item, r.quantity, COALESCE(c.state, 'unknown') AS state
FROM payconfirm.reservations r LEFT JOIN payconfirm.confirmations c USING (receipt_id)
WHERE r.state = 'held' AND (c.receipt_id IS NULL OR NOT {_UNDECIDED})
""",
    ),
    Check(
        "owner",
        "an order is owned by its receipt while that one is open or confirmed, and by no other",
        "{state}, and owns order {order_id}: {owns_order}",
        f"""
SELECT c.receipt_id, c.order_id, c.state, c.owns_order FROM payconfirm.confirmations c
WHERE c.owns_order <> (c.state = 'confirmed' OR {_UNDECIDED})
""",
    ),
    Check(
        "one_owner",
        "one order has one payment",
        "order {order_id} is owned by {receipts}",
        """
SELECT min(receipt_id) AS receipt_id, order_id, string_agg(receipt_id, ', ' ORDER BY receipt_id) AS receipts
FROM payconfirm.confirmations WHERE owns_order GROUP BY order_id HAVING count(*) > 1
""",
    ),
    Check(
        "sequence",
        "a receipt's events are numbered from 1 to its sequence, each number once",
        "the row says {sequence}, its events are {numbers}",
        """
SELECT receipt_id, COALESCE(c.sequence, 0) AS sequence, COALESCE(o.numbers, 'none') AS numbers
FROM payconfirm.confirmations c FULL JOIN (
    SELECT receipt_id, count(*) AS events, count(DISTINCT sequence) AS different, max(sequence) AS last,
           string_agg(sequence::text, ', ' ORDER BY sequence) AS numbers
    FROM payconfirm.outbox GROUP BY receipt_id
) o USING (receipt_id)
WHERE (COALESCE(o.events, 0), COALESCE(o.different, 0), COALESCE(o.last, 0))
      IS DISTINCT FROM (c.sequence, c.sequence, c.sequence)
""",
    ),
    Check(
        "told",
        "what ended, and what people are asked about, was told as that",
        "{state}, but the last thing told is {told}",
        """
SELECT c.receipt_id, c.state,
       COALESCE(o.type || ' of ' || (o.document ->> 'order_id') || ', ' || (o.document ->> 'amount'), 'nothing') AS told
FROM payconfirm.confirmations c LEFT JOIN (
    SELECT DISTINCT ON (receipt_id) receipt_id, type, document FROM payconfirm.outbox
    WHERE type <> 'payconfirm.drift' ORDER BY receipt_id, sequence DESC
) o USING (receipt_id)
WHERE c.state IN ('confirmed', 'rejected', 'voided', 'review')
  AND (o.type, o.document ->> 'state', o.document ->> 'order_id', o.document ->> 'currency',
       CAST(o.document ->> 'amount' AS numeric) * CASE c.currency WHEN 'KRW' THEN 1 ELSE 100 END)
      IS DISTINCT FROM ('payconfirm.' || c.state, c.state, c.order_id, c.currency, c.amount)
""",
    ),
    Check(
        "forgotten",
        "what is open has a time at which it is looked at again",
        "{state}, and nobody will look at it again",
        """
SELECT receipt_id, state FROM payconfirm.confirmations
WHERE state IN ('received', 'submitting', 'voiding', 'review')
  AND (due_at IS NULL OR due_at > now() + interval '61 minutes')
""",
    ),
    Check(
        "never_ends",
        "what was voided isn't looked at any more",
        "{state}, but still due or leased",
        """
SELECT receipt_id, state FROM payconfirm.confirmations
WHERE state = 'voided' AND (due_at IS NOT NULL OR leased_until IS NOT NULL)
""",
    ),
    Check(
        "overdue",
        f"nothing is due for more than {OVERDUE_SECONDS} s (is a relay running, and a worker?)",
        "{state}, due for {seconds} s",
        f"""
SELECT receipt_id, state, extract(epoch FROM now() - due_at)::bigint AS seconds FROM payconfirm.confirmations
WHERE due_at < now() - CASE lane WHEN 2 THEN interval '{BACKLOG_SECONDS} seconds'
                        ELSE interval '{OVERDUE_SECONDS} seconds' END
  AND NOT (:away AND lane > 0)  -- held back until the gateway is there again
ORDER BY due_at
""",
    ),
    # What is sent is due a little later each time, so nothing that only waits for a worker is ever overdue.
    Check(
        "undecided",
        f"{OVERDUE_SECONDS} s after its deadline a receipt has ended, or people are asked",
        "{state}, {seconds} s after it came in",
        f"""
SELECT receipt_id, state, extract(epoch FROM now() - created_at)::bigint AS seconds FROM payconfirm.confirmations
WHERE state IN ('received', 'submitting') AND seen IS DISTINCT FROM '{Seen.CANCEL_UNDER_WAY}'
  AND created_at < now() - :deadline - interval '{OVERDUE_SECONDS} seconds' ORDER BY created_at
""",
    ),
    # From the first callback on: what was told before there were any has none.
    Check(
        "called_back",
        "every event of a receipt with a callback_url has its callback",
        "no callback for its event {sequence}, {type}",
        """
SELECT o.receipt_id, o.sequence, o.type
FROM payconfirm.outbox o JOIN payconfirm.confirmations c USING (receipt_id)
WHERE c.callback_url IS NOT NULL AND o.at >= c.created_at
  AND o.number > (SELECT min(f.number) FROM payconfirm.outbox f JOIN payconfirm.callbacks USING (id))
  AND NOT EXISTS (SELECT FROM payconfirm.callbacks b WHERE b.id = o.id) ORDER BY o.number
""",
    ),
    Check(
        "call_overdue",
        f"no callback is due for more than {BACKLOG_SECONDS} s (is a relay running, and a callbacks process?)",
        "callback {id} is due for {seconds} s",
        f"""
SELECT c.receipt_id, c.id, extract(epoch FROM now() - c.due_at)::bigint AS seconds FROM payconfirm.callbacks c
WHERE c.state = 'pending' AND c.due_at < now() - interval '{BACKLOG_SECONDS} seconds' AND NOT EXISTS (
    SELECT FROM payconfirm.callbacks e
    WHERE e.receipt_id = c.receipt_id AND e.sequence < c.sequence AND e.endpoint_key = c.endpoint_key
      AND e.state = 'pending')
ORDER BY c.due_at
""",
    ),
    Check(
        "call_forgotten",
        "a paused callback's endpoint is paused, and none waits for more than 27 hours",
        "callback {id} is {state}, and nothing will move it",
        """
SELECT c.receipt_id, c.id, c.state FROM payconfirm.callbacks c
WHERE c.state = 'pending' AND c.due_at > now() + interval '27 hours'
   OR c.state = 'paused' AND c.created_at < now() - interval '15 minutes' AND NOT EXISTS (
       SELECT FROM payconfirm.endpoints e WHERE e.endpoint_key = c.endpoint_key AND e.paused_at IS NOT NULL)
""",
    ),
)
