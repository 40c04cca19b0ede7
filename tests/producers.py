"""Producers that aren't ours: a role of their own that may call one function, and nothing else."""

import itertools
from collections.abc import Iterator
from contextlib import closing, contextmanager
from urllib.parse import urlsplit

import psycopg2

NUMBERS = itertools.count(1)

#: As docs/producers.md says it, and the shop's own table.
GRANTS = """
CREATE ROLE {role} LOGIN PASSWORD 'shop';
GRANT USAGE ON SCHEMA payconfirm TO {role};
GRANT EXECUTE ON FUNCTION payconfirm.enqueue(jsonb) TO {role};
CREATE SCHEMA {role} AUTHORIZATION {role};
SET ROLE {role};
CREATE TABLE {role}.orders (order_id text PRIMARY KEY);
RESET ROLE;
"""


@contextmanager
def producer(database_url: str) -> Iterator[str]:
    """Make a producer's role, and give its address; its name is also its schema's, which has its table of orders."""
    role = f"shop_{next(NUMBERS)}"
    with closing(psycopg2.connect(database_url)) as owner:
        owner.autocommit = True
        owner.cursor().execute(GRANTS.format(role=role))
        address = urlsplit(database_url)
        yield address._replace(netloc=f"{role}:shop@{address.hostname}:{address.port}").geturl()
        owner.cursor().execute(f"DROP OWNED BY {role} CASCADE; DROP ROLE {role}")
