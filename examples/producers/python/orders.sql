-- The shop's part of payconfirm's database, made once by a superuser (beside `make up`: make psql < this file): a role that
-- may hand orders in and nothing else of payconfirm's, and a schema of its name, in which it finds its `orders`.
CREATE ROLE my_shop LOGIN PASSWORD 'change-me';
GRANT USAGE ON SCHEMA payconfirm TO my_shop;
GRANT EXECUTE ON FUNCTION payconfirm.enqueue(jsonb) TO my_shop;
CREATE SCHEMA AUTHORIZATION my_shop
    CREATE TABLE orders (id text PRIMARY KEY, amount bigint NOT NULL);
