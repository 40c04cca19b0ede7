"""The tables: confirmations and their steps, stock, the outbox, dead letters."""

from alembic import op

revision = "0001"
down_revision = None

TABLES = """
CREATE TABLE payconfirm.confirmations (
    receipt_id      text PRIMARY KEY CHECK (receipt_id ~ '^[A-Za-z0-9_-]{1,64}$'),
    order_id        text NOT NULL,
    amount          bigint NOT NULL CHECK (amount > 0),          -- in the currency's smallest unit
    currency        text NOT NULL CHECK (currency IN ('KRW', 'USD')),
    items           jsonb NOT NULL,                              -- {"sku": quantity}, lines added up
    callback_url    text,
    metadata        jsonb NOT NULL,
    state           text NOT NULL CHECK (state IN
        ('received', 'submitting', 'voiding', 'review', 'rejected', 'confirmed', 'voided')),
    reason          text,
    message         text NOT NULL DEFAULT '',
    review_from     text CHECK (review_from IN ('received', 'submitting', 'voiding')),
    void_reason     text,
    payment         jsonb,
    fence           uuid,                                        -- null: never claimed
    leased_until    timestamptz,
    due_at          timestamptz,
    asked           boolean NOT NULL DEFAULT false,              -- for a look, since the claim; what was seen is older
    owns_order      boolean NOT NULL DEFAULT false,
    attempts        integer NOT NULL DEFAULT 0,
    idle_claims     integer NOT NULL DEFAULT 0,
    sequence        bigint NOT NULL DEFAULT 0,
    seen            text,
    seen_since      timestamptz,
    looks           integer NOT NULL DEFAULT 0,
    parks           integer NOT NULL DEFAULT 0,
    submits         integer NOT NULL DEFAULT 0,
    submitted_until timestamptz,
    refusal         text,
    declined        boolean NOT NULL DEFAULT false,
    cancel_number   integer NOT NULL DEFAULT 1,
    cancel_refused  boolean NOT NULL DEFAULT false,
    created_at      timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL,
    state_since     timestamptz NOT NULL,
    -- Which line the sweep finds it in: 0 a lease (expired once it is due), 1 parked, 2 never claimed.
    lane            smallint NOT NULL GENERATED ALWAYS AS
        (CASE WHEN leased_until IS NOT NULL THEN 0 WHEN fence IS NOT NULL THEN 1 ELSE 2 END) STORED,
    CHECK ((state = 'review') = (review_from IS NOT NULL))
) WITH (fillfactor = 80);
-- What the sweep reads.
CREATE INDEX confirmations_due ON payconfirm.confirmations (lane, due_at) WHERE due_at IS NOT NULL;
-- One order, one payment.
CREATE UNIQUE INDEX one_payment_per_order ON payconfirm.confirmations (order_id) WHERE owns_order;

CREATE TABLE payconfirm.steps (
    id         uuid PRIMARY KEY,
    number     bigint GENERATED ALWAYS AS IDENTITY,
    receipt_id text NOT NULL,
    at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    fence      uuid,
    attempt    integer NOT NULL,
    phase      text NOT NULL,
    seen       text NOT NULL,
    decided    text NOT NULL,
    detail     text NOT NULL DEFAULT '',
    stale      boolean NOT NULL DEFAULT false                    -- written by a worker that had lost its claim
);
CREATE INDEX steps_of_receipt ON payconfirm.steps (receipt_id, number);

CREATE TABLE payconfirm.stock (
    sku       text PRIMARY KEY,
    available bigint NOT NULL CHECK (available >= 0)
) WITH (fillfactor = 50);

CREATE TABLE payconfirm.stock_changes (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sku    text NOT NULL REFERENCES payconfirm.stock,
    change bigint NOT NULL,
    at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    why    text NOT NULL
);
CREATE INDEX stock_changes_of_sku ON payconfirm.stock_changes (sku);

CREATE TABLE payconfirm.reservations (
    receipt_id text NOT NULL,                                    -- no foreign keys: each would lock the hot row again
    sku        text NOT NULL,
    quantity   bigint NOT NULL CHECK (quantity > 0),
    state      text NOT NULL CHECK (state IN ('held', 'sold', 'released')),
    PRIMARY KEY (receipt_id, sku)
);
CREATE INDEX reservations_of_sku ON payconfirm.reservations (sku, state);

CREATE TABLE payconfirm.outbox (
    number       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id           uuid NOT NULL UNIQUE,
    receipt_id   text NOT NULL,
    sequence     bigint NOT NULL,
    type         text NOT NULL,
    document     jsonb NOT NULL,
    at           timestamptz NOT NULL,
    leased_until timestamptz,
    result_due   boolean NOT NULL,                               -- to be stored for those who poll
    published_at timestamptz,
    place        bigint UNIQUE,                                  -- in the feed, given as it is published
    UNIQUE (receipt_id, sequence)
);
CREATE INDEX outbox_due ON payconfirm.outbox (number) WHERE published_at IS NULL OR result_due;
CREATE SEQUENCE payconfirm.feed;

CREATE TABLE payconfirm.dead_letters (
    id          uuid PRIMARY KEY,
    at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    source      text NOT NULL,
    reason      text NOT NULL,
    receipt_id  text,
    task_id     text,
    raw         bytea NOT NULL,
    -- What the producer who polls is told: null, nobody polls; due; a FAILURE is stored; it was withdrawn, since the
    -- receipt has a row after all.
    answer      text CHECK (answer IN ('due', 'stored', 'withdrawn'))
);
CREATE INDEX dead_letters_answered ON payconfirm.dead_letters (at) WHERE answer IN ('due', 'stored');
CREATE INDEX dead_letters_by_time ON payconfirm.dead_letters (at);
"""


def upgrade() -> None:
    op.execute(TABLES)


def downgrade() -> None:
    op.execute("DROP SCHEMA payconfirm CASCADE")
