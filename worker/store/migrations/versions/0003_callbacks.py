"""Callbacks: one for each event of a receipt that has a callback_url, and what is known of where they go.

A trigger writes a callback with its event, whoever writes that: workers of the release before go on beside this, know
nothing of callbacks, and their events have theirs from the moment on at which this is committed.
"""

from alembic import op

revision = "0003"
down_revision = "0002"

#: What an endpoint is found by. It may be longer than an index takes; and `sha256` takes bytes, of which `decode` alone
#: makes the same ones always, as a generated column must.
KEY = "bytea GENERATED ALWAYS AS (sha256(decode(replace({of}, E'\\\\', E'\\\\\\\\'), 'escape'))) STORED"

TABLES = f"""
CREATE TABLE payconfirm.callbacks (
    id           uuid PRIMARY KEY,                               -- the event's
    number       bigint GENERATED ALWAYS AS IDENTITY,
    receipt_id   text NOT NULL,
    sequence     bigint NOT NULL,
    url          text NOT NULL,
    endpoint     text NOT NULL GENERATED ALWAYS AS (split_part(url, '?', 1)) STORED,
    endpoint_key {KEY.format(of="split_part(url, '?', 1)")},
    host         text NOT NULL GENERATED ALWAYS AS
        (COALESCE(lower(substring(url FROM '^[A-Za-z]+://(\\[[^]]*\\]|[^/:?]*)')), '')) STORED,
    state        text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'delivered', 'failed', 'paused')),
    attempts     integer NOT NULL DEFAULT 0,                     -- since it was written, or sent again by hand
    by_hand      boolean NOT NULL DEFAULT false,                 -- goes out although its endpoint is paused
    due_at       timestamptz,
    leased_until timestamptz,                                    -- it is in a message, or on its way to the shop
    fence        uuid,
    last_status  integer,
    last_error   text,
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    tried_at     timestamptz,
    delivered_at timestamptz,
    CHECK (state <> 'pending' OR due_at IS NOT NULL)
) WITH (fillfactor = 80);
CREATE INDEX callbacks_due ON payconfirm.callbacks (host, due_at) WHERE state = 'pending';
CREATE INDEX callbacks_on_their_way ON payconfirm.callbacks (host, endpoint_key) WHERE leased_until IS NOT NULL;
CREATE INDEX callbacks_of_receipt ON payconfirm.callbacks (receipt_id, sequence);
CREATE INDEX callbacks_listed ON payconfirm.callbacks (state, number) WHERE state IN ('failed', 'paused');
CREATE INDEX callbacks_paused ON payconfirm.callbacks (endpoint_key) WHERE state = 'paused';
CREATE INDEX callbacks_newest ON payconfirm.callbacks (number);

CREATE TABLE payconfirm.endpoints (
    endpoint      text NOT NULL,                                 -- a callback_url without its query
    endpoint_key  {KEY.format(of="endpoint")} PRIMARY KEY,
    failing_since timestamptz,                                   -- the first failure after the last success
    paused_at     timestamptz
);

CREATE FUNCTION payconfirm.call_back() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
    INSERT INTO payconfirm.callbacks (id, receipt_id, sequence, url, due_at)
    SELECT NEW.id, NEW.receipt_id, NEW.sequence, c.callback_url, clock_timestamp()
    FROM payconfirm.confirmations c WHERE c.receipt_id = NEW.receipt_id AND c.callback_url IS NOT NULL;
    RETURN NULL;
END $$;
"""

#: Waits for those who write events, and all others wait behind it; so it gives up sooner than they do.
TRIGGER = """
SET LOCAL lock_timeout = '1s';
CREATE TRIGGER call_back AFTER INSERT ON payconfirm.outbox FOR EACH ROW EXECUTE FUNCTION payconfirm.call_back();
SET LOCAL lock_timeout = 0;
"""

DROP = """
DROP TRIGGER IF EXISTS call_back ON payconfirm.outbox;
DROP FUNCTION IF EXISTS payconfirm.call_back();
DROP TABLE IF EXISTS payconfirm.endpoints, payconfirm.callbacks;
"""


def upgrade() -> None:
    op.execute(TABLES)
    op.execute(TRIGGER)


def downgrade() -> None:
    op.execute(DROP)
