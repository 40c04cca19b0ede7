"""The shop's tables, in a schema of its own beside ours."""

TABLES = """
CREATE SCHEMA IF NOT EXISTS shop;
CREATE TABLE IF NOT EXISTS shop.coupons (
    code       text PRIMARY KEY,
    expires_at timestamptz NOT NULL,
    taken_by   text                                              -- the order that has it
);
CREATE TABLE IF NOT EXISTS shop.orders (
    order_id text PRIMARY KEY,
    coupon   text REFERENCES shop.coupons,
    status   text NOT NULL DEFAULT 'placed'
        CHECK (status IN ('placed', 'pending', 'paid', 'failed', 'refunded', 'cancelled'))
);
CREATE TABLE IF NOT EXISTS shop.checkouts (
    order_id   text PRIMARY KEY REFERENCES shop.orders,
    browser    text NOT NULL,                                    -- whose order it is: the session's SHA-256
    buyer      text NOT NULL,
    sku        text NOT NULL,
    amount     bigint NOT NULL CHECK (amount > 0),               -- won; the shop's own price
    receipt_id text UNIQUE,                                      -- a receipt pays one order
    outcome    jsonb                                             -- the latest final result document
);
"""
