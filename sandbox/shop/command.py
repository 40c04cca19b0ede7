"""`python -m sandbox shop`: make the shop's tables, in the database that DATABASE_URL names, and serve its page."""

import argparse
import asyncio
import os
import sys

from sqlalchemy.exc import SQLAlchemyError

from sandbox.shop.orders import Orders
from sandbox.shop.payconfirm_http import Payconfirm
from sandbox.shop.server import Shop, serve
from sandbox.shop.window import Window

PORT = 8080
WRONG_USAGE = 2
#: What the page needs, and what each of them names.
NEEDED = {
    "DATABASE_URL": "where the shop's own tables are",
    "PAYCONFIRM_URL": "the HTTP door of `python -m api`, as http://127.0.0.1:8000",
    "PAYCONFIRM_KEY": "one of its API_KEYS",
    "BOOTPAY_URL": "a sandbox gateway, which stands for the payment window, as http://127.0.0.1:8090",
}
NEEDED_TO_MIGRATE = ("DATABASE_URL",)


def main(argv: list[str]) -> int:
    """Serve until told to end: 0 then, 2 when it can't begin. With `--migrate` make the tables, and nothing else."""
    asked = _read(argv)
    needed = NEEDED_TO_MIGRATE if asked.migrate else tuple(NEEDED)
    if missing := [name for name in needed if not os.environ.get(name)]:
        print(*(f"{name} is missing: {NEEDED[name]}" for name in missing), sep="\n", file=sys.stderr)
        return WRONG_USAGE
    try:
        orders = Orders(os.environ["DATABASE_URL"])
        orders.migrate()
    except SQLAlchemyError as error:
        print(f"DATABASE_URL can't be used: {str(error).splitlines()[0]}", file=sys.stderr)
        return WRONG_USAGE
    if asked.migrate:
        orders.close()
        print("the shop's tables are there")
        return 0
    try:
        asyncio.run(_serve(orders, asked.port))
    except OSError as error:
        print(f"shop: can't listen on 127.0.0.1:{asked.port}: {error.strerror or error}", file=sys.stderr)
        return WRONG_USAGE
    return 0


async def _serve(orders: Orders, port: int) -> None:
    environment = os.environ
    operator_key = environment.get("PAYCONFIRM_OPERATOR_KEY")
    payconfirm = Payconfirm(environment["PAYCONFIRM_URL"], environment["PAYCONFIRM_KEY"], operator_key)
    try:
        await serve(
            Shop(orders, payconfirm, Window(environment["BOOTPAY_URL"]), environment.get("CALLBACK_SECRET")), port
        )
    finally:
        await payconfirm.close()
        orders.close()


def _read(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sandbox shop", description=__doc__)
    parser.add_argument("--port", type=int, default=PORT, help=f"where to listen (default {PORT}; 0 picks a free one)")
    parser.add_argument("--migrate", action="store_true", help="only make the shop's tables")
    return parser.parse_args(argv)
