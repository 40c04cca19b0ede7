"""The ledger's SQL. Each commit is one statement and one round trip: all of it happens, or nothing.

A statement is put together from named parts. `moved` is the row's own change, guarded by the fence and the state that
the worker knows; every other part takes its rows from `moved`, so that without it nothing happens at all. PostgreSQL 15
is enough.
"""

_INSERT = """
INSERT INTO payconfirm.confirmations AS c
    (receipt_id, order_id, amount, currency, items, callback_url, metadata, state,
     fence, leased_until, due_at, attempts, idle_claims, created_at, updated_at, state_since)
SELECT :receipt_id, :order_id, :amount, :currency, CAST(:items AS jsonb), :callback_url, CAST(:metadata AS jsonb),
       'received', CAST(:fence AS uuid), t.now + CAST(:lease AS interval), t.now + CAST(:due AS interval),
       :claims, :claims, t.now, t.now, t.now
FROM (SELECT clock_timestamp() AS now) t
"""

#: Insert the row, due soon; nothing where there is one.
KEEP = _INSERT + "ON CONFLICT (receipt_id) DO NOTHING RETURNING c.*, clock_timestamp() AS now"

#: Insert and claim the row, or claim the one that was never claimed and says the same.
CLAIM_NEW = (
    _INSERT
    + """
ON CONFLICT (receipt_id) DO UPDATE SET
    fence = excluded.fence, leased_until = excluded.leased_until, due_at = excluded.due_at, asked = false,
    attempts = c.attempts + 1, idle_claims = c.idle_claims + 1
WHERE c.fence IS NULL AND c.state = 'received'
  AND (c.order_id, c.amount, c.currency, c.items)
    = (excluded.order_id, excluded.amount, excluded.currency, excluded.items)
RETURNING c.*, clock_timestamp() AS now
"""
)

#: Claim the row that still has the fence which the message names, unless a lease runs or it has ended. One that ended
#: well is looked at only while somebody asks for it.
CLAIM_AGAIN = """
UPDATE payconfirm.confirmations SET
    fence = CAST(:fence AS uuid), asked = false,
    leased_until = clock_timestamp() + CAST(:lease AS interval),
    due_at = clock_timestamp() + CAST(:lease AS interval),
    attempts = attempts + 1, idle_claims = idle_claims + 1
WHERE receipt_id = :receipt_id AND fence IS NOT DISTINCT FROM CAST(:seen_fence AS uuid)
  AND (leased_until IS NULL OR leased_until <= clock_timestamp())
  AND state <> 'voided' AND (state <> 'confirmed' OR due_at IS NOT NULL)
RETURNING *, clock_timestamp() AS now
"""

#: A receipt that was never this order's doesn't hold its row: a new document begins it anew, the sequence goes on, and
#: the old result is taken back from those who poll.
REPLACE = """
WITH replaced AS (
UPDATE payconfirm.confirmations SET
    order_id = :order_id, amount = :amount, currency = :currency, items = CAST(:items AS jsonb),
    callback_url = :callback_url, metadata = CAST(:metadata AS jsonb),
    state = 'received', reason = NULL, message = '', void_reason = NULL, payment = NULL, fence = NULL, asked = false,
    leased_until = NULL, due_at = clock_timestamp() + CAST(:due AS interval), attempts = 0, idle_claims = 0,
    seen = NULL, seen_since = NULL, looks = 0, parks = 0, submits = 0, submitted_until = NULL, refusal = NULL,
    declined = false, cancel_number = 1, cancel_refused = false,
    created_at = clock_timestamp(), updated_at = clock_timestamp(), state_since = clock_timestamp()
WHERE receipt_id = :receipt_id AND state = 'rejected' AND reason IN ('order_mismatch', 'receipt_not_found')
  AND (order_id, amount, currency, items) IS DISTINCT FROM
      (CAST(:order_id AS text), CAST(:amount AS bigint), CAST(:currency AS text), CAST(:items AS jsonb))
RETURNING *
),
taken_back AS (
    UPDATE payconfirm.outbox o SET result_due = true, result_asked = o.result_asked + 1 FROM replaced
    WHERE o.receipt_id = replaced.receipt_id AND o.sequence = replaced.sequence
)
SELECT *, clock_timestamp() AS now FROM replaced
"""

READ = "SELECT *, clock_timestamp() AS now FROM payconfirm.confirmations WHERE receipt_id = :receipt_id"

RENEW = """
UPDATE payconfirm.confirmations SET
    leased_until = clock_timestamp() + CAST(:lease AS interval), due_at = clock_timestamp() + CAST(:lease AS interval)
WHERE receipt_id = :receipt_id AND fence = CAST(:fence AS uuid) AND state = :from_state
RETURNING *, clock_timestamp() AS now
"""

_SET = """
    state = :state, reason = :reason, message = :message, review_from = :review_from, void_reason = :void_reason,
    payment = CAST(:payment AS jsonb), owns_order = :owns_order, idle_claims = 0,
    sequence = sequence + CASE WHEN CAST(:event_id AS uuid) IS NULL THEN 0 ELSE 1 END,
    seen = :seen, seen_since = :seen_since, looks = :looks, parks = :parks, submits = :submits,
    submitted_until = :submitted_until, refusal = :refusal, declined = :declined,
    cancel_number = :cancel_number, cancel_refused = :cancel_refused, hooked = :hooked,
    leased_until = clock_timestamp() + CAST(:lease AS interval),
    due_at = CASE
        WHEN asked AND CAST(:lease AS interval) IS NULL AND :state <> 'voided' THEN clock_timestamp()
        ELSE clock_timestamp() + CAST(:due AS interval) END,
    updated_at = clock_timestamp(),
    state_since = CASE WHEN state = :state THEN state_since ELSE clock_timestamp() END
"""
_MINE = "c.receipt_id = :receipt_id AND c.fence = CAST(:fence AS uuid) AND c.state = :from_state"

_MOVED = f"moved AS (UPDATE payconfirm.confirmations c SET {_SET} WHERE {_MINE} RETURNING c.*)"

_STEP = """
step AS (
    INSERT INTO payconfirm.steps (id, receipt_id, fence, attempt, phase, seen, decided, detail)
    SELECT CAST(:step_id AS uuid), receipt_id, fence, attempts, :phase, :step_seen, :decided, :detail FROM moved
)"""

#: The document is the rules' own; the moment is the database's.
_TOLD = """
told AS (
    INSERT INTO payconfirm.outbox (id, receipt_id, sequence, type, document, at, result_due)
    SELECT CAST(:event_id AS uuid), receipt_id, sequence, :event_type,
           CAST(:document AS jsonb) || jsonb_build_object('updated_at',
               to_char(updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')),
           updated_at, :final
    FROM moved WHERE CAST(:event_id AS uuid) IS NOT NULL
)"""

_SOLD = """
sold AS (
    UPDATE payconfirm.reservations r SET state = 'sold' FROM moved
    WHERE r.receipt_id = moved.receipt_id AND r.state = 'held'
)"""

#: Stock rows are locked in SKU order everywhere, so that two receipts of several SKUs never wait for each other.
_RELEASED = """
released AS (
    UPDATE payconfirm.reservations r SET state = 'released' FROM moved
    WHERE r.receipt_id = moved.receipt_id AND r.state = 'held' RETURNING r.sku, r.quantity
),
shelf AS (
    SELECT sku FROM payconfirm.stock WHERE sku IN (SELECT sku FROM released) ORDER BY sku FOR UPDATE
),
returned AS (
    UPDATE payconfirm.stock s SET available = s.available + released.quantity
    FROM released JOIN shelf USING (sku) WHERE s.sku = released.sku
)"""

_MOVED_ROW = "SELECT moved.*, clock_timestamp() AS now FROM moved"


def _statement(*parts: str, answer: str = _MOVED_ROW) -> str:
    return f"WITH {', '.join(parts)} {answer}"


WRITE = _statement(_MOVED, _STEP, _TOLD)
WRITE_AND_SELL = _statement(_MOVED, _STEP, _TOLD, _SOLD)
WRITE_AND_RELEASE = _statement(_MOVED, _STEP, _TOLD, _RELEASED)

#: Another receipt of this order that owns it, whatever became of that one so far.
_OWNER = """
owner AS (
    SELECT o.state FROM payconfirm.confirmations o
    WHERE o.order_id = :order_id AND o.owns_order AND o.receipt_id <> :receipt_id
)"""

_HELD = f"mine AS (SELECT c.receipt_id FROM payconfirm.confirmations c WHERE {_MINE} FOR UPDATE)"

_WANTED = """
wanted AS (SELECT key AS sku, CAST(value AS bigint) AS quantity FROM jsonb_each_text(CAST(:items AS jsonb)))"""
_SHELF = """
shelf AS (
    SELECT s.sku, s.available FROM payconfirm.stock s
    WHERE s.sku IN (SELECT sku FROM wanted) AND EXISTS (SELECT FROM mine) AND NOT EXISTS (SELECT FROM owner)
    ORDER BY s.sku {lock}
)"""
_MISSING = """
missing AS (
    SELECT w.sku, shelf.sku IS NULL AS unknown FROM wanted w LEFT JOIN shelf USING (sku)
    WHERE shelf.available IS NULL OR shelf.available < w.quantity
)"""
_REFUSAL = """
       (SELECT count(*) FROM mine) AS mine, (SELECT state FROM owner) AS owner,
       (SELECT bool_or(unknown) FROM missing) AS unknown, (SELECT count(*) FROM missing) AS missing
"""

#: Before the shop's hook runs: lock our row if the claim still has it, and give the transaction's id.
HOLD = _statement(
    _HELD,
    answer="""
SELECT CAST(NULL AS text) AS receipt_id, count(*) > 0 AS free, pg_current_xact_id()::text AS xid FROM mine
""",
)

#: The same before it reserves, with why not. No stock is locked yet, so it is only likely that there will be enough.
RESERVABLE = _statement(
    _HELD,
    _OWNER,
    _WANTED,
    _SHELF.format(lock=""),
    _MISSING,
    answer=f"""
SELECT CAST(NULL AS text) AS receipt_id, {_REFUSAL}, pg_current_xact_id()::text AS xid,
       EXISTS (SELECT FROM mine) AND NOT EXISTS (SELECT FROM owner) AND NOT EXISTS (SELECT FROM missing) AS free
""",
)

#: Take every item or none. The stock rows, the hot ones, are the last to be written before the commit.
RESERVE = _statement(
    _HELD,
    _OWNER,
    _WANTED,
    _SHELF.format(lock="FOR UPDATE"),
    _MISSING,
    """
free AS (SELECT receipt_id FROM mine WHERE NOT EXISTS (SELECT FROM owner) AND NOT EXISTS (SELECT FROM missing))""",
    f"moved AS (UPDATE payconfirm.confirmations c SET {_SET} FROM free"
    f" WHERE c.receipt_id = free.receipt_id AND {_MINE} RETURNING c.*)",
    _STEP,
    """
held AS (
    INSERT INTO payconfirm.reservations (receipt_id, sku, quantity, state)
    SELECT moved.receipt_id, wanted.sku, wanted.quantity, 'held' FROM moved, wanted
),
taken AS (
    UPDATE payconfirm.stock s SET available = s.available - wanted.quantity
    FROM moved, wanted WHERE s.sku = wanted.sku
)""",
    answer=f"""
SELECT moved.*, clock_timestamp() AS now, {_REFUSAL} FROM (SELECT 1) one LEFT JOIN moved ON true
""",
)

#: Have a receipt looked at now; where a worker is on it, once that one is done.
ASK = """
UPDATE payconfirm.confirmations SET due_at = clock_timestamp(), asked = true
WHERE receipt_id = :receipt_id AND state <> 'voided' RETURNING receipt_id
"""

#: The same without standing in a line: whether there is such a receipt, and whether it was free.
ASK_IF_FREE = """
WITH known AS (
    SELECT receipt_id FROM payconfirm.confirmations WHERE receipt_id = :receipt_id AND state <> 'voided'
),
free AS (
    SELECT receipt_id FROM payconfirm.confirmations WHERE receipt_id = :receipt_id AND state <> 'voided'
    FOR UPDATE SKIP LOCKED
),
asked AS (
    UPDATE payconfirm.confirmations c SET due_at = clock_timestamp(), asked = true
    FROM free WHERE c.receipt_id = free.receipt_id RETURNING c.receipt_id
)
SELECT EXISTS (SELECT FROM known) AS known, EXISTS (SELECT FROM asked) AS asked
"""

#: A worker that had lost its claim changes nothing, but what it learnt is kept and looked into at once.
STALE = """
WITH nudged AS (
    UPDATE payconfirm.confirmations SET due_at = clock_timestamp(), asked = true
    WHERE receipt_id = :receipt_id AND state NOT IN ('confirmed', 'voided')
)
INSERT INTO payconfirm.steps (id, receipt_id, fence, attempt, phase, seen, decided, detail, stale)
VALUES (CAST(:step_id AS uuid), :receipt_id, CAST(:fence AS uuid), :attempt,
        :phase, :step_seen, :decided, :detail, true)
ON CONFLICT (id) DO NOTHING
"""

#: Whether a write whose answer was lost has happened.
WRITTEN = "SELECT 1 FROM payconfirm.steps WHERE id = CAST(:step_id AS uuid) AND NOT stale"

#: One that is due already may be in the relay's hands, stored a moment ago and gone from there since.
TELL_AGAIN = """
UPDATE payconfirm.outbox o SET result_due = true, result_asked = o.result_asked + 1 FROM payconfirm.confirmations c
WHERE c.receipt_id = :receipt_id AND o.receipt_id = c.receipt_id AND o.sequence = c.sequence
  AND c.state IN ('rejected', 'confirmed', 'voided')
"""
