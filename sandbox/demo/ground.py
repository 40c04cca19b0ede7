"""What the house stands on: the servers, ours or somebody's, the folder, and an environment without surprises."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import psycopg2

from sandbox.demo.interrupts import interrupted
from sandbox.demo.programs import HouseProblem
from sandbox.server import Server
from sandbox.servers import STATE, Addresses, ServerProblem, Servers
from sandbox.state import read_note

#: What would make a demo another one than it says, or send it to somebody else's servers.
OURS = {
    *("DATABASE_URL", "REDIS_URL", "BROKER_URL", "EVENTS_URL"),
    *("STATEMENT_SECONDS", "LOCK_SECONDS", "LOOKUP_LEASE_SECONDS", "SUBMIT_LEASE_SECONDS"),
    *("LOOKUP_SECONDS", "SUBMIT_SECONDS", "CONFIRM_DEADLINE_SECONDS"),
    *("GATEWAY_RATE", "POST_RATE", "WORKER_CONCURRENCY", "ORDER_HOOK"),
    *("WEB_HOST", "WEB_PORT", "WEBHOOK_SOURCES", "TRUSTED_PROXIES"),
}
OURS_PREFIXES = ("BOOTPAY_", "CALLBACK_", "CELERY_")


@dataclass(frozen=True)
class Ground:
    """A PostgreSQL and a Redis that answer; ours, or somebody's."""

    addresses: Addresses
    ours: Servers | None = None
    _to_end: set[Server] = field(default_factory=set)

    @contextmanager
    def expecting_the_end_of(self, server: Server) -> Iterator[None]:
        """For as long as this lasts, don't take it for an accident that the server isn't there."""
        self._to_end.add(server)
        try:
            yield
        finally:
            self._to_end.discard(server)

    def check(self) -> None:
        """Raise `HouseProblem` if one of our servers has ended by itself."""
        for server in (self.ours.postgres, self.ours.redis) if self.ours else ():
            if server not in self._to_end and not server.is_running:
                raise HouseProblem(f"{server.name} ended by itself: see {server.log}")


def given_addresses() -> Addresses | None:
    """Read the servers that DATABASE_URL and REDIS_URL name; None where we start our own."""
    database_url, redis_url = os.environ.get("DATABASE_URL"), os.environ.get("REDIS_URL")
    if database_url and redis_url:
        given = Addresses(database_url, redis_url)
        if _were_ours(given) and not _are_ours(given):
            raise ServerProblem(
                "DATABASE_URL and REDIS_URL still name private servers of an earlier `make up`, which have ended:"
                " unset them, and private ones are started again with what those had kept"
            )
        return given
    if database_url or redis_url:
        missing = "REDIS_URL" if database_url else "DATABASE_URL"
        raise ServerProblem(f"{missing} is missing: set both to use your own servers, or neither to have them started")
    return None


@dataclass(frozen=True)
class Kept:
    """What a database holds of payconfirm's."""

    confirmations: int = 0
    #: Steps of workers that had lost their claim: recorded, and nothing else changed.
    stale_steps: int = 0
    available: Mapping[str, int] = field(default_factory=dict)


def look_at(addresses: Addresses) -> Kept:
    """Read what is there, from the tables themselves: another witness than the program that is tried."""
    try:
        with closing(psycopg2.connect(_plain(addresses.database_url))) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT to_regclass('payconfirm.confirmations') IS NULL")
            if cursor.fetchone() == (True,):
                return Kept()
            cursor.execute("SELECT sku, available FROM payconfirm.stock")
            available = {sku: int(number) for sku, number in cursor.fetchall()}
            cursor.execute("SELECT count(*) FROM payconfirm.confirmations")
            (confirmations,) = cursor.fetchone() or (0,)
            cursor.execute("SELECT count(*) FROM payconfirm.steps WHERE stale")
            (stale_steps,) = cursor.fetchone() or (0,)
            return Kept(confirmations, stale_steps, available)
    except psycopg2.Error as error:
        raise ServerProblem(f"DATABASE_URL can't be used: {str(error).splitlines()[0]}") from error


def refuse_a_used_schema(addresses: Addresses) -> None:
    """Raise `ServerProblem` if somebody's confirmations are in this database: a rush doesn't belong among them."""
    if look_at(addresses).confirmations:
        raise ServerProblem(
            "the schema payconfirm in DATABASE_URL holds confirmations: give the demo an empty database,"
            " or unset DATABASE_URL and REDIS_URL to have private servers started"
        )


def whose(addresses: Addresses) -> str:
    """Say that these are somebody's own servers, or those that run in this folder, and where, without a password."""
    postgres, redis = (urlsplit(url).netloc.rpartition("@")[-1] for url in vars(addresses).values())
    owner = "the private servers that already run for this folder" if _are_ours(addresses) else "your servers"
    return (
        f"on {owner}, {postgres} (PostgreSQL) and {redis} (Redis): DATABASE_URL and REDIS_URL are set;"
        " unset them for private ones"
    )


def _are_ours(addresses: Addresses) -> bool:
    return read_note(STATE) == addresses


def _were_ours(addresses: Addresses) -> bool:
    """Say whether these were printed here, now or before: our PostgreSQL keeps its password, and no other has it."""
    try:
        password = (STATE / "postgres.password").read_text()
    except OSError:
        return False
    return urlsplit(addresses.database_url).password == password


@contextmanager
def throw_away_folder() -> Iterator[Path]:
    """Lend a folder of this run's own in the state folder. When something goes wrong its logs stay."""
    STATE.mkdir(mode=0o700, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="demo-", dir=STATE))
    try:
        yield folder
    except BaseException:
        shutil.rmtree(folder if interrupted() else folder / "servers", ignore_errors=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)


def forget_what_is_ours() -> None:
    """Take payconfirm's own variables, and Celery's, out of this process's environment."""
    for name in [*os.environ]:
        if name in OURS or name.startswith(OURS_PREFIXES):
            del os.environ[name]


def _plain(url: str) -> str:
    """However the address is spelt: psycopg2 knows nothing of SQLAlchemy's `postgresql+psycopg2`."""
    return f"postgresql://{url.partition('://')[2]}"
