"""One commit of ours together with the shop's own statements: both happen, or neither.

First our row is locked, under the claim, so that the hook is never run by a worker that has lost it. Then comes the
hook, and our own statement last, since that takes the stock rows that others wait for.
"""

import time
from contextlib import AbstractContextManager

import structlog
from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from confirmation.confirmation import Confirmation
from confirmation.errors import HookFailed, HookRefused, StoreUnavailable
from confirmation.hooks import Hook, Method, order_of
from worker.store.engine import IDLE_IN_TRANSACTION_SECONDS, Loss, Row, first_line, named_errors, one, watch

log = structlog.get_logger(__name__)

_ENDED = "ended the transaction, which is payconfirm's to end"

#: After the hook: its deferred constraints are its own errors, what it has set and made for itself doesn't outlive it,
#: and the transaction is still the one that we began, in which our own statement can be made.
_AFTER = """
SET CONSTRAINTS ALL IMMEDIATE; RESET SESSION AUTHORIZATION; RESET ROLE; RESET ALL; DISCARD TEMP;
SELECT pg_current_xact_id_if_assigned()::text AS xid, current_setting('transaction_read_only') = 'on' AS read_only,
       pg_advisory_unlock_all()
"""


class Together:
    """What the shop's hook has to do with one commit."""

    def __init__(self, hook: Hook, method: Method, after: Confirmation) -> None:
        self._hook = hook
        self._method = method
        self._order = order_of(after)

    def commit(self, engine: Engine, first: str, last: str, values: Row) -> Row | None:
        """Make the commit; where our first or last statement refuses, give its answer and write nothing."""
        with named_errors(), transaction(engine) as connection:
            row = one(connection, first, values)
            if row is None or not row["free"]:
                return row
            self.write(connection, row["xid"])
            row = one(connection, last, values)
            if row is None or row["receipt_id"] is None:
                connection.rollback()
            return row

    def write(self, connection: Connection, xid: str) -> None:
        """Have the shop's part written in the transaction that has this id. Raises `HookRefused`, `HookFailed`."""
        began = time.monotonic()
        lost = watch(connection)
        event.listen(connection, "commit", _not_the_hooks)
        try:
            self._hook.call(self._method, connection, self._order)
            self._check(connection, xid)
        except (HookRefused, HookFailed) as said:
            raise self._judge(connection, said, lost, time.monotonic() - began) from said
        finally:
            event.remove(connection, "commit", _not_the_hooks)

    def _check(self, connection: Connection, xid: str) -> None:
        """Raise `HookFailed` where the transaction isn't ours any more, or can't be committed."""
        try:
            left = connection.exec_driver_sql(_AFTER).one()
        except DBAPIError as error:
            raise HookFailed(f"{self._method} left its transaction unusable: {first_line(error)}") from error
        except SQLAlchemyError as error:
            raise HookFailed(f"{self._method} {_ENDED}") from error
        if left.xid != xid:
            raise HookFailed(f"{self._method} {_ENDED}")
        if left.read_only:
            raise HookFailed(f"{self._method} made the transaction read-only")

    def _judge(self, connection: Connection, said: HookRefused | HookFailed, lost: Loss, seconds: float) -> Exception:
        """Nothing is believed of a hook that had no database any more, unless it has itself to blame."""
        if not connection.closed and connection.invalidated:
            if lost.by_itself:
                said = HookFailed(f"{self._method} closed its connection, or made it read-only: {said}")
            elif seconds < IDLE_IN_TRANSACTION_SECONDS:
                return StoreUnavailable(str(said))
            else:
                idle = f"a session that is idle in a transaction is ended after {IDLE_IN_TRANSACTION_SECONDS} s"
                said = HookFailed(f"{self._method} lost its connection after {seconds:.1f} s ({idle}): {said}")
        elif isinstance(said, HookFailed) and not connection.closed:
            connection.invalidate()  # with whatever it has committed, locked or prepared there
        if isinstance(said, HookFailed):
            log.error("hook.failed", method=self._method.value, error=str(said))
        return said


def transaction(engine: Engine) -> AbstractContextManager[Connection]:
    """A transaction of several statements; the engine's own are one each."""
    return engine.execution_options(isolation_level="READ COMMITTED").begin()


def _not_the_hooks(connection: Connection) -> None:
    del connection
    raise RuntimeError("the transaction isn't the hook's to commit")
