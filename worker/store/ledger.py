"""The rules' `Store` on PostgreSQL: claims, and commits that match only the fence of the claim that makes them."""

import time
from collections.abc import Callable
from uuid import uuid4

import structlog
from sqlalchemy import Engine, text
from sqlalchemy.exc import IntegrityError

from confirmation.confirmation import Confirmation, Hold, Job
from confirmation.decisions import Refusal
from confirmation.errors import ClaimLost, DifferentDocument, HookFailed, HookRefused, StoreUnavailable
from confirmation.hooks import Hook, Method, called, part_in
from confirmation.order import Order
from confirmation.ports import Commit, Stock
from confirmation.states import State
from worker.store import statements
from worker.store.engine import Row, named_errors, one
from worker.store.rows import commit_values, order_values, seconds, step_values, to_confirmation, to_order
from worker.store.together import Together

log = structlog.get_logger(__name__)

_BY_STOCK = {
    Stock.KEEP: statements.WRITE,
    Stock.SELL: statements.WRITE_AND_SELL,
    Stock.RELEASE: statements.WRITE_AND_RELEASE,
}

#: How often a write whose answer was lost is looked for.
_ASK_AGAIN = 3


class Ledger:
    """See `confirmation.ports.Store` for what each method promises."""

    def __init__(self, engine: Engine, tick: Callable[[], float] = time.monotonic, hook: Hook | None = None) -> None:
        self._engine = engine
        self._tick = tick
        self._hook = hook

    def claim(self, job: Job, lease_seconds: float) -> Confirmation:
        """Claim the job's receipt, or say how it stands."""
        values = {"fence": str(uuid4()), "lease": seconds(lease_seconds), "due": seconds(lease_seconds), "claims": 1}
        if job.order is None:
            named = {"receipt_id": job.receipt_id, "seen_fence": job.fence and str(job.fence)}
            return self._claim(statements.CLAIM_AGAIN, values | named, lease_seconds) or self._read(job.receipt_id)
        values |= order_values(job.order)
        claimed = self._claim(statements.CLAIM_NEW, values, lease_seconds)
        if claimed is None and self._make_way(job.order, 0):
            claimed = self._claim(statements.CLAIM_NEW, values, lease_seconds)
        return claimed or self._read(job.receipt_id)

    def keep(self, order: Order, due_seconds: float) -> Confirmation:
        """Make sure that the row exists."""
        nobody = {"fence": None, "lease": None, "due": seconds(due_seconds), "claims": 0}
        row = self._one(statements.KEEP, order_values(order) | nobody)
        if row is None:
            self._make_way(order, due_seconds)
            return self._read(order.receipt_id)
        return to_confirmation(row)

    def renew(self, confirmation: Confirmation, lease_seconds: float) -> Confirmation:
        """Extend the hold before the next call."""
        hold = _held(confirmation)
        granted = self._tick()
        values = {"receipt_id": confirmation.receipt_id, "fence": str(hold.fence), "from_state": confirmation.state}
        row = self._one(statements.RENEW, values | {"lease": seconds(lease_seconds)})
        if row is None:
            raise ClaimLost(confirmation.receipt_id)
        return to_confirmation(row, Hold(hold.fence, granted, row["now"], lease_seconds))

    def reserve(self, commit: Commit) -> Confirmation | Refusal:
        """Take every item or none and own the order; or say why not."""
        granted = self._tick()
        row = self._reserve(commit)
        if row["receipt_id"] is not None:
            return self._written(commit, row, granted)
        if not row["mine"]:
            raise self._stale(commit)
        if row["owner"] is not None:
            return Refusal.ORDER_PAID if row["owner"] == State.CONFIRMED else Refusal.ORDER_UNDECIDED
        return Refusal.UNKNOWN_SKU if row["unknown"] else Refusal.OUT_OF_STOCK

    def write(self, commit: Commit) -> Confirmation:
        """Write the commit whole, or raise `ClaimLost`."""
        granted = self._tick()
        row = self._send(commit, lambda: self._make(commit, statements.HOLD, _BY_STOCK[commit.stock]))
        if row is None or row["receipt_id"] is None:
            raise self._stale(commit)
        return self._written(commit, row, granted)

    def tell_again(self, confirmation: Confirmation) -> None:
        """Have the result stored again for those who poll."""
        with named_errors(), self._engine.connect() as connection:
            connection.execute(text(statements.TELL_AGAIN), {"receipt_id": confirmation.receipt_id})

    def ask(self, receipt_id: str) -> bool:
        """Have a receipt looked at now, as a webhook does; say whether it is one that can move."""
        return self._one(statements.ASK, {"receipt_id": receipt_id}) is not None

    def ask_if_free(self, receipt_id: str) -> bool:
        """Have it looked at now, unless somebody is just writing it: then nothing was done, and `ask` has to wait."""
        said = self._one(statements.ASK_IF_FREE, {"receipt_id": receipt_id})
        return said is not None and said["asked"] >= said["known"]

    def _claim(self, statement: str, values: Row, lease_seconds: float) -> Confirmation | None:
        granted = self._tick()
        row = self._one(statement, values)
        if row is None:
            return None
        return to_confirmation(row, Hold(row["fence"], granted, row["now"], lease_seconds))

    def _make_way(self, order: Order, due_seconds: float) -> bool:
        """Let a document take over a receipt that was never the other's; say whether it did.

        Raises `DifferentDocument` where the row is another's and stays it.
        """
        if self._different(order) and self._one(
            statements.REPLACE, order_values(order) | {"due": seconds(due_seconds)}
        ):
            return True
        if stands := self._different(order):  # read again: a copy of this very document may have been quicker
            raise DifferentDocument(_refusal(stands, order))
        return False

    def _different(self, order: Order) -> Order | None:
        """The order that stands, where that is another document's."""
        row = self._one(statements.READ, {"receipt_id": order.receipt_id})
        stands = to_order(row) if row else order
        return stands if stands.differences(order) else None

    def _reserve(self, commit: Commit) -> Row:
        """Two receipts of one order at the same moment: the index lets one in, the other then sees it."""
        try:
            row = self._send(commit, lambda: self._make(commit, statements.RESERVABLE, statements.RESERVE))
        except IntegrityError:
            row = self._send(commit, lambda: self._make(commit, statements.RESERVABLE, statements.RESERVE))
        except HookRefused:
            # It may have waited for the other receipt of its order, and have seen what that one did.
            row = self._one(statements.RESERVABLE, commit_values(commit))
            if row is None or row["free"]:
                raise
        if row is None:
            raise StoreUnavailable("a reservation gave no row")
        return row

    def _make(self, commit: Commit, first: str, last: str) -> Row | None:
        """Make a commit in one statement; where the shop has a part in it, in one transaction."""
        method = _part_in(self._hook, commit)
        if self._hook is None or method is None:
            return self._one(last, commit_values(commit))
        commit = called(commit, method)
        if not self._hook.has(method):
            return self._one(last, commit_values(commit))
        return Together(self._hook, method, commit.after).commit(self._engine, first, last, commit_values(commit))

    def _send(self, commit: Commit, send: Callable[[], Row | None]) -> Row | None:
        """Send a commit; where its answer was lost, let the row say whether it happened."""
        try:
            return send()
        except StoreUnavailable:
            if not self._happened(commit):
                raise
            return self._one(statements.READ, {"receipt_id": commit.before.receipt_id})

    def _happened(self, commit: Commit) -> bool:
        for attempt in range(_ASK_AGAIN):
            try:
                return self._one(statements.WRITTEN, {"step_id": str(commit.step.id)}) is not None
            except StoreUnavailable:
                if attempt == _ASK_AGAIN - 1:
                    raise
        return False

    def _written(self, commit: Commit, row: Row, granted: float) -> Confirmation:
        """The row as written. Without a lease the hold is given up."""
        if commit.lease_seconds is None:
            return to_confirmation(row)
        fence = _held(commit.before).fence
        return to_confirmation(row, Hold(fence, granted, row["now"], commit.lease_seconds))

    def _stale(self, commit: Commit) -> ClaimLost:
        with named_errors(), self._engine.connect() as connection:
            connection.execute(text(statements.STALE), step_values(commit))
        return ClaimLost(f"{commit.before.receipt_id} was claimed by another worker")

    def _read(self, receipt_id: str) -> Confirmation:
        row = self._one(statements.READ, {"receipt_id": receipt_id})
        if row is None:
            raise LookupError(f"receipt {receipt_id} has no row")
        return to_confirmation(row)

    def _one(self, statement: str, values: Row) -> Row | None:
        with named_errors(), self._engine.connect() as connection:
            return one(connection, statement, values)


def _part_in(hook: Hook | None, commit: Commit) -> Method | None:
    try:
        return part_in(hook, commit.before, commit.after)
    except HookFailed as missing:
        log.error("hook.failed", receipt_id=commit.before.receipt_id, error=str(missing))  # noqa: TRY400 — no bug
        raise


def _held(confirmation: Confirmation) -> Hold:
    if confirmation.hold is None:
        raise ClaimLost(f"{confirmation.receipt_id} isn't held by this worker")
    return confirmation.hold


def _refusal(stands: Order, came: Order) -> str:
    """Say what is different, and which order each is for; where only the items are, that is the same."""
    another = " and ".join(stands.differences(came))
    told = f"receipt {came.receipt_id} is used by a document with another {another}"
    mine, others = _for_what(stands), _for_what(came)
    return told if mine == others else f"{told}: {mine} stands, {others} came"


def _for_what(order: Order) -> str:
    return f"{order.order_id} for {order.amount.as_document()} {order.amount.currency}"
