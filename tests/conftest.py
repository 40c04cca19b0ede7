"""What every test stands on: throw-away servers, no network but loopback, and nothing of the caller's environment."""

import ipaddress
import itertools
import os
import signal
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import psycopg2
import pytest
import redis

from config.settings import Settings
from sandbox.servers import start
from worker.store.engine import make_engine

ROOT = Path(__file__).parent.parent

#: Whatever these point to belongs to somebody: no test may reach it by accident.
CALLERS_OWN = {name.upper() for name in Settings.model_fields}
CALLERS_OWN_PREFIXES = ("BOOTPAY_", "CALLBACK_", "CELERY_", "PG")

#: Redis has 16 databases. The first is the servers' own address; a test takes the next of the others, so that a process
#: left over from the test before it can't write into its own.
REDIS_NUMBERS = itertools.cycle(range(1, 16))


DATABASE_NUMBERS = itertools.count(1)


def pytest_configure() -> None:
    # A shell's background job ignores Ctrl-C, and so would every program that is started here and told to end by it.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for name in [*os.environ]:
        if name.upper() in CALLERS_OWN or name.startswith(CALLERS_OWN_PREFIXES):
            del os.environ[name]


@pytest.fixture(autouse=True)
def _only_loopback(monkeypatch):
    """Refuse every connection that would leave this machine."""
    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, _guarded(getattr(socket.socket, name)))


def _guarded(connect):
    def guarded(self, address):
        if self.family in (socket.AF_INET, socket.AF_INET6) and not _is_loopback(address[0]):
            raise AssertionError(f"a test tried to connect to {address[0]}:{address[1]}; only loopback is open")
        return connect(self, address)

    return guarded


def _is_loopback(host):
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@pytest.fixture(scope="session")
def servers(tmp_path_factory):
    """One PostgreSQL and one Redis for the whole session."""
    with start(tmp_path_factory.mktemp("servers"), durable=False) as running:
        yield running


@pytest.fixture(scope="session")
def template_database(servers):
    """The name of a database with the current schema in it, to copy from."""
    name = "template_payconfirm"
    _administer(servers, f"CREATE DATABASE {name}")
    migrate = [sys.executable, "-m", "worker", "migrate"]
    addresses = {
        "DATABASE_URL": _with_path(servers.addresses.database_url, name),
        "REDIS_URL": servers.addresses.redis_url,
    }
    environment = os.environ | addresses
    done = subprocess.run(migrate, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"migrate failed: {done.stdout}{done.stderr}"
    return name


@pytest.fixture
def database_url(servers, template_database):
    """A database of this test's own, with the current schema and nothing in it."""
    name = f"test_{next(DATABASE_NUMBERS)}"
    _administer(servers, f"CREATE DATABASE {name} TEMPLATE {template_database} STRATEGY file_copy")
    yield _with_path(servers.addresses.database_url, name)
    _administer(servers, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def engine(database_url):
    engine = make_engine(database_url.replace("postgresql://", "postgresql+psycopg2://"))
    yield engine
    engine.dispose()


@pytest.fixture
def redis_url(servers):
    """An empty Redis database of this test's own."""
    url = _with_path(servers.addresses.redis_url, str(next(REDIS_NUMBERS)))
    with redis.Redis.from_url(url) as connection:
        connection.flushdb()
    return url


def _administer(servers, statement):
    with closing(psycopg2.connect(servers.addresses.database_url)) as connection:
        connection.autocommit = True  # CREATE DATABASE refuses to run inside a transaction
        connection.cursor().execute(statement)


def _with_path(url, path):
    return urlsplit(url)._replace(path=f"/{path}").geturl()
