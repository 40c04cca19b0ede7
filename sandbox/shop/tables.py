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
"""
