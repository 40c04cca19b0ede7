"""Have the payment of one order confirmed by the very transaction that writes the order into the shop's own table.

The shop's tables and payconfirm's are in one database, in which the shop has a role and a schema of its own: orders.sql
makes them. Never as payconfirm's own role: where that is called payconfirm, as beside `make up`, a plain `orders` is
payconfirm.orders. Needs psycopg2 (pip install psycopg2-binary).

DATABASE_URL=postgresql://my_shop:… PAYCONFIRM_URL=… PAYCONFIRM_KEY=… python order_by_sql.py RECEIPT_ID ORDER_ID AMOUNT

The result is asked for over HTTP, as in order.py; the codes that it ends with are the same.
"""

import os
import sys
from contextlib import closing

import psycopg2
from order import VARIABLES, command_line, finish
from psycopg2.extras import Json


def main(receipt_id: str, order_id: str, amount: int) -> None:
    """Write the order and enqueue it: both happen, or neither does."""
    document = {"receipt_id": receipt_id, "order_id": order_id, "amount": amount}
    try:
        with (
            closing(psycopg2.connect(os.environ["DATABASE_URL"])) as connection,
            connection,  # one transaction: commits at its end, or rolls back
            connection.cursor() as cursor,
        ):
            cursor.execute("INSERT INTO orders VALUES (%s, %s) ON CONFLICT DO NOTHING", [order_id, amount])
            cursor.execute("SELECT payconfirm.enqueue(%s::jsonb)", [Json(document)])
            (result,) = cursor.fetchone()
    except psycopg2.OperationalError as unsure:  # perhaps the commit's answer was lost: run this once more
        print("no answer:", unsure, file=sys.stderr)
        sys.exit(4)
    except psycopg2.Error as wrong:
        if not wrong.pgcode:
            raise
        print(wrong.diag.message_primary, file=sys.stderr)  # PF422: invalid; PF409: another order; or no such table
        sys.exit(2)
    finish(document, result)


if __name__ == "__main__":
    main(**command_line({"DATABASE_URL": ("postgres://", "postgresql://"), **VARIABLES}))
