"""Callbacks as the relay and their own process move them: what is due is sent off, claimed, and written back.

The relay's part is made by one relay at a time, so that what is on its way to a host can be counted: everything whose
lease runs, in a message or in a request. A lease that ends with nothing written, since its process was killed, makes
the callback due as it was.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import structlog
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from worker.store import calling_statements as sql
from worker.store.engine import Row, first_line, named_errors, one

log = structlog.get_logger(__name__)

#: So many callbacks are on their way to one host at once; to an endpoint that has been failing, one.
AT_ONCE = 4
#: A message has so long to be read before its callback is sent off again; two copies cost nothing.
SENT_SECONDS = 15.0
#: How long a process has a claimed callback to itself: the request's 10 s, and a statement or two.
LEASE_SECONDS = 20.0
#: An endpoint without a success for so long is paused at its next failure.
PAUSED_AFTER = timedelta(days=1)
#: Rows that are changed in one statement, which has 4 s.
CHANGED_AT_ONCE = 2000

#: Relays take turns.
_TURN = 0x7061_7966
#: What is done before callbacks are taken.
_CHANGES = (sql.REVIVE, sql.PAUSE)


@dataclass(frozen=True)
class Leaving:
    """A callback that is sent off, and the fence to claim it with."""

    id: UUID
    fence: UUID
    url: str


@dataclass(frozen=True)
class Claimed:
    """A callback to be delivered now, with its event."""

    id: UUID
    fence: UUID
    url: str
    host: str
    attempt: int
    receipt_id: str
    type: str
    document: dict[str, Any]
    at: datetime


@dataclass(frozen=True)
class Standing:
    """How a callback stands once its try is written."""

    state: str
    due_at: datetime | None
    #: Whether this failure has paused its endpoint.
    paused: bool = False


class Calling:
    """Moves callbacks."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def take(self, most: int) -> list[Leaving]:
        """Take callbacks that are due and have room at their host, those that wait longest; none in another's turn.

        One that can't be taken has failed, so that it doesn't stop all others.
        """
        values = {"most": max(most, 0), "at_once": AT_ONCE, "lease": timedelta(seconds=SENT_SECONDS)}
        try:
            with named_errors(), self._turn() as connection:
                if connection is None:
                    return []
                for statement in _CHANGES:
                    connection.execute(text(statement), {"most": CHANGED_AT_ONCE})
                return [Leaving(*row) for row in connection.execute(text(sql.TAKE), values)] if most > 0 else []
        except DBAPIError as unforeseen:
            log.warning("callbacks.one_by_one", error=first_line(unforeseen))
        with named_errors(), self._turn() as connection:
            return _take_each(connection, values) if connection is not None else []

    def give_back(self, leaving: list[Leaving]) -> None:
        """Let these be taken again at once: they couldn't be sent off."""
        values = {"ids": [str(each.id) for each in leaving], "fences": [str(each.fence) for each in leaving]}
        with named_errors(), self._engine.connect() as connection:
            connection.execute(text(sql.GIVE_BACK), values)

    def claim(self, callback_id: UUID, seen_fence: UUID) -> Claimed | None:
        """Claim what still has the fence that the message names; None where it has moved on."""
        values = {"id": str(callback_id), "seen_fence": str(seen_fence), "fence": str(uuid4())}
        with named_errors(), self._engine.connect() as connection:
            row = connection.execute(
                text(sql.CLAIM), values | {"lease": timedelta(seconds=LEASE_SECONDS)}
            ).one_or_none()
        return Claimed(*row) if row else None

    def delivered(self, claimed: Claimed, status: int) -> Standing | None:
        """Write that the shop has taken it; None where the claim was lost."""
        return self._write(sql.DELIVERED, claimed, status=status)

    def not_taken(self, claimed: Claimed, error: str, status: int | None, wait: timedelta | None) -> Standing | None:
        """Write that it wasn't taken, and how long to wait; without a wait it has failed for good."""
        return self._write(sql.NOT_TAKEN, claimed, error=error, status=status, wait=wait, paused_after=PAUSED_AFTER)

    def refused(self, claimed: Claimed | Leaving, error: str) -> Standing | None:
        """Write that it may not be sent at all."""
        return self._write(sql.REFUSED, claimed, error=error)

    def _write(self, statement: str, claimed: Claimed | Leaving, **values: object) -> Standing | None:
        named = {"id": str(claimed.id), "fence": str(claimed.fence)}
        with named_errors(), self._engine.connect() as connection:
            row = one(connection, statement, named | values)
        return Standing(**row) if row else None

    @contextmanager
    def _turn(self) -> Iterator[Connection | None]:
        """Have a transaction, and in it the turn; None where another has it."""
        with self._engine.execution_options(isolation_level="READ COMMITTED").begin() as connection:
            mine = connection.execute(text("SELECT pg_try_advisory_xact_lock(:lock)"), {"lock": _TURN}).scalar_one()
            yield connection if mine else None


def _take_each(connection: Connection, values: Row) -> list[Leaving]:
    """Take them one by one, which takes longer and stops at none."""
    for statement in _CHANGES:
        _apart(connection, statement, {"most": CHANGED_AT_ONCE})
    taken = []
    for callback_id in connection.execute(text(sql.CHOOSE), values).scalars().all():
        found = _apart(connection, sql.TAKE_ONE, values | {"id": callback_id})
        if isinstance(found, list):
            taken += [Leaving(*row) for row in found]
            continue
        log.error("callback.not_taken", callback=str(callback_id), error=found)
        _apart(connection, sql.SET_ASIDE, {"id": callback_id, "error": f"payconfirm failed over it: {found}"})
    return taken


def _apart(connection: Connection, statement: str, values: Row) -> list[Any] | str:
    """Run a statement whose failing undoes nothing else; give its rows, or what the database says of it."""
    try:
        with named_errors(), connection.begin_nested():
            result = connection.execute(text(statement), values)
            return list(result) if result.returns_rows else []
    except DBAPIError as unforeseen:
        return first_line(unforeseen)
