"""A whole house for tests: real web, worker, relay and sandbox gateway, on a database and a Redis of its own."""

import itertools
import os
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg2
import redis

from sandbox.demo.ground import Ground
from sandbox.demo.house import House
from sandbox.servers import Addresses, Servers

NUMBERS = itertools.count(1)


@contextmanager
def standing(
    servers: Servers, folder: Path, *, api: str = "v2", stock: Mapping[str, int] | None = None, **variables: str
) -> Iterator[House]:
    """Open a house that speaks one of the two versions. It has the servers' own Redis database to itself."""
    name = f"house_{next(NUMBERS)}"
    with closing(psycopg2.connect(servers.addresses.database_url)) as connection:
        connection.autocommit = True
        connection.cursor().execute(f"CREATE DATABASE {name}")
    with redis.Redis.from_url(servers.addresses.redis_url) as client:
        client.flushdb()
    database_url = urlsplit(servers.addresses.database_url)._replace(path=f"/{name}").geturl()
    environment = {
        "PATH": os.environ["PATH"],
        "BOOTPAY_API": api,
        "BOOTPAY_APPLICATION_ID": "test-application",
        "BOOTPAY_PRIVATE_KEY": "test-private",
        "WEB_PORT": "0",
        **variables,
    }
    ground = Ground(Addresses(database_url, servers.addresses.redis_url))
    with House(folder, ground, environment, gateway_port=0) as house:
        house.open(stock or {}, say=lambda _: None)
        yield house
