"""Have the payment of one order confirmed by the very transaction that writes the order into the shop's own table.

The shop's tables and payconfirm's are in one database, and the shop has this (another table of orders does as well):

    CREATE TABLE orders (id text PRIMARY KEY, amount bigint NOT NULL)

DATABASE_URL=… PAYCONFIRM_URL=… PAYCONFIRM_KEY=… python order_by_sql.py RECEIPT_ID ORDER_ID AMOUNT

The result is asked for over HTTP, as in order.py, and so are the codes that this ends with.
"""

import argparse
import os
import sys
from contextlib import closing

import psycopg2
from order import finish
from psycopg2.extras import Json

#: An invalid document, and one that differs from what this receipt was first used for.
INVALID, DIFFERENT = "PF422", "PF409"


def main(receipt_id: str, order_id: str, amount: int) -> None:
    """Write the order and enqueue it: both happen, or neither does."""
    document = {"receipt_id": receipt_id, "order_id": order_id, "amount": amount}
    with closing(psycopg2.connect(os.environ["DATABASE_URL"])) as connection:
        try:
            with connection, connection.cursor() as cursor:  # one transaction: commits here, or rolls back
                cursor.execute("INSERT INTO orders VALUES (%s, %s) ON CONFLICT DO NOTHING", [order_id, amount])
                cursor.execute("SELECT payconfirm.enqueue(%s::jsonb)", [Json(document)])
                (result,) = cursor.fetchone()
        except psycopg2.OperationalError as unsure:  # perhaps the commit's answer was lost: run this once more
            print("no answer:", unsure, file=sys.stderr)
            sys.exit(3)
        except psycopg2.Error as wrong:
            if wrong.pgcode not in {INVALID, DIFFERENT}:
                raise
            print(wrong.diag.message_primary, file=sys.stderr)
            sys.exit(2)
    finish(document, result)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Have the payment of one order confirmed.")
    parser.add_argument("receipt_id")
    parser.add_argument("order_id")
    parser.add_argument("amount", type=int, help="in won")
    main(**vars(parser.parse_args()))
