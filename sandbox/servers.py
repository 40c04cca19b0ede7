"""A private PostgreSQL and Redis for this machine: no installation, no account, no port of anybody else's.

Read `start` first; `postgres.py` and `valkey.py` know their server, `server.py` what both have in common, `state.py`
the folder, `account.py` why PostgreSQL isn't root, `binaries.py` where the programs come from.
"""

import argparse
import os
import shutil
import signal
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Never, Self
from urllib.parse import urlsplit

from sandbox.account import choose_account, clean_environment, forget_outside, home_for
from sandbox.binaries import ServerProblem, find_postgres, find_redis
from sandbox.postgres import Postgres
from sandbox.state import Addresses, AlreadyRunning, forget_note, lock, read_note, write_note
from sandbox.valkey import Redis

__all__ = ["Addresses", "AlreadyRunning", "ServerProblem", "Servers", "main", "start"]

#: Where `python -m sandbox servers` and `make up` keep theirs.
STATE = Path(__file__).resolve().parent.parent / ".state"
WATCH_SECONDS = 0.2
FAILED = 1
CANNOT_GO_ON = 2


class Servers:
    """Both servers of one state folder, running. As a context manager it stops them at the end."""

    def __init__(self, folder: Path, postgres: Postgres, redis: Redis, stopping: ExitStack) -> None:
        self.folder = folder
        self.postgres = postgres
        self.redis = redis
        self._stopping = stopping

    @property
    def addresses(self) -> Addresses:
        """Where they are reached. Restarts don't change it."""
        return Addresses(self.postgres.url, self.redis.url)

    @property
    def psql(self) -> Path | None:
        """PostgreSQL's command line client, if one came with the server."""
        return self.postgres.psql

    def stop(self) -> None:
        """Stop Redis, then PostgreSQL, and give the folder free."""
        self._stopping.close()

    def discard(self) -> None:
        """Stop both and remove everything that they kept."""
        self.stop()
        _clean(self.folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def __str__(self) -> str:
        """Say which programs were taken."""
        return f"{self.postgres.program}, {self.redis.program}"


def start(folder: Path, *, durable: bool = True) -> Servers:
    """Start both servers with their state in `folder`, or raise `AlreadyRunning`.

    Durable servers lose nothing that they have acknowledged, whichever process is killed. The others are for tests:
    fast, a kill may lose the last commits, and a restarted Redis is empty.
    """
    folder = folder.absolute()
    with ExitStack() as stack:
        stack.enter_context(lock(folder))
        stack.callback(forget_note, folder)
        account = choose_account()
        if not durable:
            stack.callback(forget_outside, folder)
        postgres = Postgres(find_postgres(), account, home_for(account, folder), durable=durable)
        redis = Redis(find_redis(), folder, durable=durable)
        for server in (postgres, redis):
            stack.callback(server.stop)
            server.log.unlink(missing_ok=True)
            server.start()
        write_note(folder, Addresses(postgres.url, redis.url))
        return Servers(folder, postgres, redis, stack.pop_all())
    raise AssertionError  # an ExitStack of these swallows nothing


def main(argv: list[str]) -> int:
    """Run the servers until Ctrl-C, or open psql on them, or remove what they kept."""
    parser = argparse.ArgumentParser(prog="python -m sandbox servers", description=main.__doc__)
    ways = parser.add_mutually_exclusive_group()
    ways.add_argument("--psql", action="store_true", help="open psql on the servers that run")
    ways.add_argument("--clean", action="store_true", help="remove the state folder with all its data")
    asked = parser.parse_args(argv)
    way = _open_psql if asked.psql else _clean if asked.clean else _run
    try:
        return way(STATE)
    except ServerProblem as problem:
        print(problem, file=sys.stderr)
        return CANNOT_GO_ON


def _run(folder: Path) -> int:
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        with start(folder) as servers:
            print(f"{servers}; state in {folder}; Ctrl-C stops them", file=sys.stderr)
            print(servers.addresses, flush=True)
            while servers.postgres.is_running and servers.redis.is_running:
                time.sleep(WATCH_SECONDS)
            dead = servers.redis if servers.postgres.is_running else servers.postgres
            print(f"{dead.name} ended by itself: see {dead.log}", file=sys.stderr)
            return FAILED
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 0


def _open_psql(folder: Path) -> int:
    running = read_note(folder)
    psql = find_postgres().path.parent / "psql"
    if running is None:
        raise ServerProblem("nothing is running: start it with `make up`, or `python -m sandbox servers`")
    if not psql.exists():
        raise ServerProblem(
            f"no psql beside {psql.parent}: use another client with DATABASE_URL of {folder}/servers.env"
        )
    address = urlsplit(running.database_url)
    where = {"PGHOST": address.hostname, "PGPORT": str(address.port), "PGDATABASE": address.path[1:]}
    who = {"PGUSER": address.username, "PGPASSWORD": address.password}
    environment = clean_environment() | {name: value or "" for name, value in (where | who).items()}
    os.execve(psql, [str(psql)], environment)  # noqa: S606 - there is nothing in it that a shell is needed for


def _clean(folder: Path) -> int:
    # A demo keeps its servers in a folder of its own below: what runs there must not lose its data either.
    places = {folder, *(found.parent for found in folder.rglob("lock"))}
    with ExitStack() as held:
        for place in places:
            held.enter_context(lock(place))
        for place in places:
            forget_outside(place)
        shutil.rmtree(folder)
    return 0


def _interrupt(*_: object) -> Never:
    raise KeyboardInterrupt
