"""What the house stands on: the servers, ours or somebody's, the folder, and an environment without surprises."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg2

from sandbox.demo.interrupts import Interrupted
from sandbox.demo.programs import HouseProblem
from sandbox.servers import STATE, Addresses, ServerProblem, Servers

#: What would make a demo another one than it says, or send it to somebody else's servers.
OURS: tuple[str, ...] = (
    "DATABASE_URL",
    "REDIS_URL",
    "BROKER_URL",
    "EVENTS_URL",
    "GATEWAY_RATE",
    "LOOKUP_SECONDS",
    "SUBMIT_SECONDS",
)
OURS += ("CONFIRM_DEADLINE_SECONDS", "POST_RATE", "WORKER_CONCURRENCY", "ORDER_HOOK", "WEB_HOST", "WEB_PORT")
OURS_PREFIXES = ("BOOTPAY_", "CALLBACK_", "CELERY_")


@dataclass(frozen=True)
class Ground:
    """A PostgreSQL and a Redis that answer; ours, or somebody's."""

    addresses: Addresses
    ours: Servers | None = None

    def check(self) -> None:
        """Raise `HouseProblem` if one of our servers has ended by itself."""
        for server in (self.ours.postgres, self.ours.redis) if self.ours else ():
            if not server.is_running:
                raise HouseProblem(f"{server.name} ended by itself: see {server.log}")


def given_addresses() -> Addresses | None:
    """Read the servers that DATABASE_URL and REDIS_URL name; None where we start our own."""
    database_url, redis_url = os.environ.get("DATABASE_URL"), os.environ.get("REDIS_URL")
    if database_url and redis_url:
        return Addresses(database_url, redis_url)
    if database_url or redis_url:
        missing = "REDIS_URL" if database_url else "DATABASE_URL"
        raise ServerProblem(f"{missing} is missing: set both to use your own servers, or neither to have them started")
    return None


def refuse_a_used_schema(addresses: Addresses) -> None:
    """Raise `ServerProblem` if somebody's confirmations are in this database: a rush doesn't belong among them."""
    try:
        with closing(psycopg2.connect(_plain(addresses.database_url))) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT to_regclass('payconfirm.confirmations') IS NOT NULL")
            exists = cursor.fetchone()
            if exists and exists[0]:
                cursor.execute("SELECT EXISTS (SELECT FROM payconfirm.confirmations)")
                used = cursor.fetchone()
                if used and used[0]:
                    raise ServerProblem(
                        "the schema payconfirm in DATABASE_URL holds confirmations: give the demo an empty database,"
                        " or unset DATABASE_URL and REDIS_URL to have private servers started"
                    )
    except psycopg2.Error as error:
        raise ServerProblem(f"DATABASE_URL can't be used: {str(error).splitlines()[0]}") from error


def stock_left(addresses: Addresses) -> dict[str, int]:
    """Read what the shelves say, from the table itself: another witness than the program that is tried."""
    with closing(psycopg2.connect(_plain(addresses.database_url))) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT sku, available FROM payconfirm.stock")
        return {sku: int(available) for sku, available in cursor.fetchall()}


@contextmanager
def throw_away_folder() -> Iterator[Path]:
    """Lend a folder of this run's own in the state folder. When something goes wrong its logs stay."""
    STATE.mkdir(mode=0o700, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="demo-", dir=STATE))
    try:
        yield folder
    except Interrupted:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    except BaseException:
        shutil.rmtree(folder / "servers", ignore_errors=True)
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
