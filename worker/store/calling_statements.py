"""The SQL of callbacks on their way. What a callback is can be read in migration 0003."""

#: A later callback waits for the earlier ones of its receipt, where they go to the same endpoint; also for one that is
#: paused, which follows as soon as the endpoint's pause is over. People may send a later one before.
#: Looked for by its receipt alone, whatever the planner believes of the rest.
_FIRST = """
NOT EXISTS (
    SELECT FROM (
        SELECT e.state, e.endpoint_key FROM payconfirm.callbacks e
        WHERE e.receipt_id = c.receipt_id AND e.sequence < c.sequence OFFSET 0
    ) e
    WHERE e.endpoint_key = c.endpoint_key AND (e.state = 'pending' OR (e.state = 'paused' AND NOT c.by_hand)))
"""

_DUE = """
c.state = 'pending' AND c.due_at <= clock_timestamp()
AND (c.leased_until IS NULL OR c.leased_until <= clock_timestamp())
"""

#: Host by host, and no more of each than may leave, so that a long line before one of them costs the others nothing.
#: An endpoint that is failing gets one try at a time, so that its time-outs don't take the threads that others need.
_LEAVING = f"""
WITH RECURSIVE hosts AS (
    (SELECT host FROM payconfirm.callbacks WHERE state = 'pending' ORDER BY host LIMIT 1)
    UNION ALL
    SELECT (SELECT c.host FROM payconfirm.callbacks c WHERE c.state = 'pending' AND c.host > hosts.host
            ORDER BY c.host LIMIT 1)
    FROM hosts WHERE hosts.host IS NOT NULL
),
free AS (
    SELECT host, :at_once - (SELECT count(*) FROM payconfirm.callbacks c
                             WHERE c.host = hosts.host AND c.leased_until > clock_timestamp()) AS places
    FROM hosts WHERE host IS NOT NULL
),
failing AS MATERIALIZED (
    SELECT next.id, next.host, next.due_at FROM payconfirm.endpoints e, LATERAL (
        SELECT c.id, c.host, c.due_at FROM payconfirm.callbacks c
        WHERE c.endpoint_key = e.endpoint_key AND {_DUE} AND (c.by_hand OR e.paused_at IS NULL) AND {_FIRST}
        ORDER BY c.due_at LIMIT 1
    ) next
    WHERE e.failing_since IS NOT NULL AND NOT EXISTS (
        SELECT FROM payconfirm.callbacks o
        WHERE o.host = next.host AND o.endpoint_key = e.endpoint_key AND o.leased_until > clock_timestamp())
),
leaving AS (
    SELECT next.id, next.due_at FROM free, LATERAL (
        (SELECT c.id, c.due_at FROM payconfirm.callbacks c
         WHERE c.host = free.host AND {_DUE} AND c.endpoint_key NOT IN (
             SELECT e.endpoint_key FROM payconfirm.endpoints e WHERE e.failing_since IS NOT NULL) AND {_FIRST}
         ORDER BY c.due_at LIMIT :at_once)
        UNION ALL
        (SELECT failing.id, failing.due_at FROM failing WHERE failing.host = free.host)
        ORDER BY due_at LIMIT greatest(free.places, 0)
    ) next ORDER BY next.due_at LIMIT :most
)
"""

_WAITING = "c.state = 'pending' AND (c.leased_until IS NULL OR c.leased_until <= clock_timestamp())"

_LEAVE = """
UPDATE payconfirm.callbacks c SET
    fence = COALESCE(c.fence, gen_random_uuid()), leased_until = clock_timestamp() + CAST(:lease AS interval)
"""

TAKE = f"{_LEAVING} {_LEAVE} FROM leaving WHERE c.id = leaving.id AND {_WAITING} RETURNING c.id, c.fence, c.url"

#: The same in steps, for when one of them can't be taken: which ones, each of them, and what becomes of that one.
CHOOSE = f"{_LEAVING} SELECT id FROM leaving"
TAKE_ONE = f"{_LEAVE} WHERE c.id = :id AND {_WAITING} RETURNING c.id, c.fence, c.url"
SET_ASIDE = f"""
UPDATE payconfirm.callbacks c SET
    state = 'failed', last_status = NULL, last_error = :error, due_at = NULL, leased_until = NULL, fence = NULL,
    by_hand = false
WHERE c.id = :id AND {_WAITING}
"""

#: What is due for a paused endpoint waits there for people.
PAUSE = """
WITH due AS (
    SELECT c.id FROM payconfirm.endpoints e JOIN payconfirm.callbacks c USING (endpoint_key)
    WHERE e.paused_at IS NOT NULL AND c.state = 'pending' AND NOT c.by_hand AND c.due_at <= clock_timestamp()
      AND (c.leased_until IS NULL OR c.leased_until <= clock_timestamp()) LIMIT :most
)
UPDATE payconfirm.callbacks c SET state = 'paused', due_at = NULL, leased_until = NULL, fence = NULL
FROM due WHERE c.id = due.id AND c.state = 'pending' AND NOT c.by_hand
  AND (c.leased_until IS NULL OR c.leased_until <= clock_timestamp())
"""

#: An endpoint that has taken one again gets what it missed, each with all its tries.
REVIVE = """
WITH RECURSIVE ends AS (
    (SELECT endpoint_key FROM payconfirm.callbacks WHERE state = 'paused' ORDER BY endpoint_key LIMIT 1)
    UNION ALL
    SELECT (SELECT c.endpoint_key FROM payconfirm.callbacks c
            WHERE c.state = 'paused' AND c.endpoint_key > ends.endpoint_key
            ORDER BY c.endpoint_key LIMIT 1)
    FROM ends WHERE ends.endpoint_key IS NOT NULL
),
missed AS (
    SELECT c.id FROM ends JOIN payconfirm.callbacks c USING (endpoint_key)
    WHERE c.state = 'paused' AND NOT EXISTS (
        SELECT FROM payconfirm.endpoints e WHERE e.endpoint_key = ends.endpoint_key AND e.paused_at IS NOT NULL)
    ORDER BY c.number LIMIT :most
)
UPDATE payconfirm.callbacks c SET state = 'pending', attempts = 0, due_at = clock_timestamp()
FROM missed WHERE c.id = missed.id AND c.state = 'paused'
"""

GIVE_BACK = """
UPDATE payconfirm.callbacks c SET leased_until = NULL
FROM unnest(CAST(:ids AS uuid[]), CAST(:fences AS uuid[])) AS given (id, fence)
WHERE c.id = given.id AND c.fence = given.fence AND c.state = 'pending'
"""

CLAIM = """
UPDATE payconfirm.callbacks c SET
    fence = CAST(:fence AS uuid), leased_until = clock_timestamp() + CAST(:lease AS interval),
    attempts = c.attempts + 1, tried_at = clock_timestamp()
FROM payconfirm.outbox o
WHERE c.id = CAST(:id AS uuid) AND c.fence = CAST(:seen_fence AS uuid) AND c.state = 'pending' AND o.id = c.id
RETURNING c.id, c.fence, c.url, c.host, c.attempts, c.receipt_id, o.type, o.document, o.at
"""

_MINE = "c.id = CAST(:id AS uuid) AND c.fence = CAST(:fence AS uuid) AND c.state = 'pending'"

#: A success ends the endpoint's failing and its pause.
DELIVERED = f"""
WITH done AS (
    UPDATE payconfirm.callbacks c SET
        state = 'delivered', delivered_at = clock_timestamp(), last_status = :status, last_error = NULL,
        due_at = NULL, leased_until = NULL, fence = NULL, by_hand = false
    WHERE {_MINE} RETURNING c.state, c.due_at, c.endpoint_key
),
healthy AS (
    UPDATE payconfirm.endpoints e SET failing_since = NULL, paused_at = NULL
    FROM done WHERE e.endpoint_key = done.endpoint_key AND e.failing_since IS NOT NULL
)
SELECT state, due_at, false AS paused FROM done
"""

#: A failure may be the one that pauses its endpoint. What was sent by hand to a paused one waits there again.
NOT_TAKEN = f"""
WITH mine AS (SELECT c.id, c.endpoint, c.endpoint_key FROM payconfirm.callbacks c WHERE {_MINE} FOR UPDATE),
before AS (SELECT e.paused_at FROM payconfirm.endpoints e JOIN mine USING (endpoint_key)),
failing AS (
    INSERT INTO payconfirm.endpoints AS e (endpoint, failing_since) SELECT endpoint, clock_timestamp() FROM mine
    ON CONFLICT (endpoint_key) DO UPDATE SET
        failing_since = COALESCE(e.failing_since, excluded.failing_since),
        paused_at = COALESCE(e.paused_at, CASE
            WHEN e.failing_since <= clock_timestamp() - CAST(:paused_after AS interval) THEN clock_timestamp() END)
    RETURNING e.paused_at
),
written AS (
    UPDATE payconfirm.callbacks c SET
        state = next.state, last_status = :status, last_error = :error, leased_until = NULL, fence = NULL,
        by_hand = c.by_hand AND next.state = 'pending',
        due_at = CASE next.state WHEN 'pending' THEN clock_timestamp() + CAST(:wait AS interval) END
    FROM (SELECT CASE WHEN CAST(:wait AS interval) IS NULL THEN 'failed'
                      WHEN paused_at IS NOT NULL THEN 'paused' ELSE 'pending' END AS state FROM failing) next
    WHERE {_MINE} RETURNING c.state, c.due_at
)
SELECT written.state, written.due_at,
       failing.paused_at IS NOT NULL AND (SELECT paused_at FROM before) IS NULL AS paused
FROM written, failing
"""

#: What may not be sent at all says nothing about its endpoint.
REFUSED = f"""
UPDATE payconfirm.callbacks c SET
    state = 'failed', last_status = NULL, last_error = :error, due_at = NULL, leased_until = NULL, fence = NULL,
    by_hand = false
WHERE {_MINE} RETURNING c.state, c.due_at, false AS paused
"""
