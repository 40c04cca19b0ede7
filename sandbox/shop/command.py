"""`python -m sandbox shop --migrate`: the shop's tables, in the database that DATABASE_URL names."""

import argparse
import os
import sys
from contextlib import closing
from urllib.parse import urlsplit

import psycopg2

from sandbox.shop.tables import TABLES

WRONG_USAGE = 2


def main(argv: list[str]) -> int:
    """Make the tables; safe to repeat."""
    arguments = argparse.ArgumentParser(prog="python -m sandbox shop", description=__doc__)
    arguments.add_argument("--migrate", action="store_true", required=True, help="make the shop's tables")
    arguments.parse_args(argv)
    url = os.environ.get("DATABASE_URL")
    if not url:
        print("DATABASE_URL is missing", file=sys.stderr)
        return WRONG_USAGE
    with closing(psycopg2.connect(urlsplit(url)._replace(scheme="postgresql").geturl())) as connection, connection:
        connection.cursor().execute(TABLES)
    print("the shop's tables are there")
    return 0
