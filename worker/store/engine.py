"""One engine a process, and what its errors mean."""

import select
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import psycopg2
from sqlalchemy import URL, Connection, Engine, TextClause, create_engine, event, text
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import ConnectionPoolEntry, ManagesConnection

from confirmation.errors import StoreBusy, StoreUnavailable

Row = dict[str, Any]

#: Commits take milliseconds, so threads wait for a connection rather than the database for its processes.
MOST_CONNECTIONS = 8
#: A stopped process must not hold rows: its session is ended after this.
IDLE_IN_TRANSACTION_SECONDS = 4
CONNECT_SECONDS = 3

#: The driver would set these after connecting where the server's differ; so `RESET ALL` comes back to them, too.
_AS_THE_DRIVER_READS = {"datestyle": "ISO", "client_encoding": "UTF8"}

#: Whether the other side has hung up, whatever is still to be read of it. Only Linux says so at once.
_HUNG_UP = getattr(select, "POLLRDHUP", select.POLLHUP)

#: Ended by the database's own time-outs, a deadlock or a conflict: nothing was written.
_BUSY = {"57014", "55P03", "40P01", "40001"}
#: It takes no writes: for a while, or because the primary is another one now.
_READ_ONLY = "25006"
#: The database is going, coming, read-only, full, full of others, its disks give errors, or our rights were taken.
_AWAY = ("08", "53", "57P", "58", _READ_ONLY, "25P03", "42501")

_WATCH = "payconfirm.loss"

#: A table, a schema or a column that this code needs isn't there.
_NOT_MIGRATED = {"42P01", "3F000", "42703"}


class SchemaMissing(StoreUnavailable):
    """The database has no schema that this code can work with; nothing was written."""


def make_engine(
    url: str | URL, *, statement_seconds: float = 4, lock_seconds: float = 2, connections: int = MOST_CONNECTIONS
) -> Engine:
    """Build the engine; it connects when it is first used. Each statement is its own transaction unless said."""
    options = {
        "statement_timeout": int(statement_seconds * 1000),
        "lock_timeout": int(lock_seconds * 1000),
        "idle_in_transaction_session_timeout": IDLE_IN_TRANSACTION_SECONDS * 1000,
        "synchronous_commit": "on",  # what is said to be written is, whatever the database is set to
        **_AS_THE_DRIVER_READS,
    }
    engine = create_engine(
        url,
        isolation_level="AUTOCOMMIT",
        pool_size=connections,
        max_overflow=0,
        pool_timeout=statement_seconds,
        hide_parameters=True,  # an error that is logged must not repeat the document
        connect_args={
            "connect_timeout": CONNECT_SECONDS,
            "application_name": "payconfirm",
            "options": " ".join(f"-c {name}={value}" for name, value in options.items()),
            "keepalives_idle": 5,
            "keepalives_interval": 2,
            "keepalives_count": 3,
            "tcp_user_timeout": 10_000,
        },
    )
    event.listen(engine, "handle_error", _leave_the_old_primary)
    event.listen(engine, "checkout", _drop_the_dead)
    event.listen(engine, "invalidate", _note_the_loss)
    return engine


@dataclass
class Loss:
    """How a connection was lost, if it was: without an error it was given up by whoever had it."""

    error: BaseException | None = None

    @property
    def by_itself(self) -> bool:
        """Whether whoever had the connection has closed it or made it read-only, rather than the server."""
        read_only = getattr(self.error, "pgcode", None) == _READ_ONLY
        return self.error is None or read_only or isinstance(self.error, psycopg2.InterfaceError)


def watch(connection: Connection) -> Loss:
    """Give what will say how this connection is lost, until it is back in the pool."""
    loss = Loss()
    _book(connection.connection)[_WATCH] = loss
    return loss


def _note_the_loss(_: object, entry: ConnectionPoolEntry, error: BaseException | None) -> None:
    watched = _book(entry).pop(_WATCH, None)
    if watched is not None:
        watched.error = error


def _book(entry: ManagesConnection) -> dict[Any, Any]:
    """What is remembered of a place in the pool, whichever connection it has."""
    return {} if entry.record_info is None else entry.record_info  # one that isn't the pool's any more has none


@contextmanager
def named_errors() -> Iterator[None]:
    """Turn the driver's errors into the two that the rules know; what is neither is a bug and stays as it is."""
    try:
        yield
    except PoolTimeoutError as error:
        raise StoreBusy("no connection became free in time") from error
    except (DBAPIError, psycopg2.Error) as error:  # the driver's own escape where a transaction is opened
        named = _name(error)
        if named is None:
            raise
        raise named from error


def _name(error: Exception) -> StoreBusy | StoreUnavailable | None:
    code = getattr(_original(error), "pgcode", None) or ""
    if code in _BUSY:
        return StoreBusy(code)
    if code in _NOT_MIGRATED:
        return SchemaMissing("the schema isn't there, or is older than this code: run python -m worker migrate")
    gone = getattr(error, "connection_invalidated", False) or (not code and _is_connection_error(error))
    return StoreUnavailable(first_line(error)) if gone or code.startswith(_AWAY) else None


def one(connection: Connection, statement: str, values: Row) -> Row | None:
    """Run one statement and give its only row, if it has one."""
    row = connection.execute(_prepared(statement), values).mappings().one_or_none()
    return None if row is None else dict(row)


def first_line(error: Exception) -> str:
    """The driver's own words; they name the host and the user, never the password."""
    original = _original(error)
    return str(original).strip().partition("\n")[0] or type(original).__name__


@cache
def _prepared(statement: str) -> TextClause:
    """Read a statement's parameters once; doing it each time costs a tenth of the commit."""
    return text(statement)


def _leave_the_old_primary(context: ExceptionContext) -> None:
    """Connect anew once a server takes no writes: after a failover the pool would lead to the old primary for ever."""
    if getattr(context.original_exception, "pgcode", None) == _READ_ONLY:
        context.is_disconnect = True


def _drop_the_dead(connection: Any, entry: ConnectionPoolEntry, _: object) -> None:  # noqa: ANN401 — the driver's
    """Hand out no connection that the server has closed: a commit sent on it is lost, and its worker stops there.

    A new one is taken as it is: two dead ones in a row are an error to SQLAlchemy.
    """
    if not entry.info.get("used"):
        entry.info["used"] = True
        return
    watch = select.poll()
    if not connection.closed:
        watch.register(connection, _HUNG_UP)
    if connection.closed or watch.poll(0):
        raise DisconnectionError("the server has hung up")


def _original(error: Exception) -> BaseException | None:
    return error.orig if isinstance(error, DBAPIError) else error


def _is_connection_error(error: Exception) -> bool:
    return type(_original(error)).__name__ in ("OperationalError", "InterfaceError", "DatabaseError")
