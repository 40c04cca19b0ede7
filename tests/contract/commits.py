"""What the suites of the store's contract do to a row, by the commits that the rules make, and what they ask of it."""

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

from confirmation.confirmation import Confirmation, Job
from confirmation.events import Event, told
from confirmation.order import Money, Order
from confirmation.ports import Commit, Step, Stock
from confirmation.states import Reason, State

LEASE = 10.0
ORDER = Order("r1", "o1", Money(3000, "KRW"), {"cap": 1, "tee": 2}, "https://shop.example/hook", {"cart": "c-77"})
#: One statement of a real store reads its clock more than once.
ONE_STATEMENT = timedelta(seconds=1)


def moved(before, state, **changes):
    """The row in another state, as the rules' own commits leave it."""
    owns = state in (State.SUBMITTING, State.CONFIRMED)
    return replace(before, state=state, owns_order=changes.pop("owns_order", owns), **changes)


def commit(before, after, **beside):
    kind = told(before, after)
    step = Step(before.state.value, "ready", after.state.value)
    return Commit(before, after, step, event=Event(uuid4(), kind) if kind else None, **beside)


def claimed(store, order=ORDER, lease=LEASE):
    confirmation = store.claim(Job(order.receipt_id, order), lease)
    assert confirmation.can_move
    return confirmation


def submitting(store, order=ORDER):
    confirmation = claimed(store, order)
    reserved = store.reserve(commit(confirmation, moved(confirmation, State.SUBMITTING), lease_seconds=LEASE))
    assert isinstance(reserved, Confirmation)
    return reserved


def confirmed(store, order=ORDER):
    before = submitting(store, order)
    return store.write(commit(before, moved(before, State.CONFIRMED), stock=Stock.SELL))


def rejected(store, reason=Reason.NOT_READY, order=ORDER, wait=None):
    before = claimed(store, order)
    return store.write(commit(before, moved(before, State.REJECTED, reason=reason), stock=Stock.RELEASE, wait=wait))


def taken_over(tested):
    """Two workers: the first one's lease is over, and the second has claimed the row."""
    first = claimed(tested.store)
    tested.advance(LEASE + 1)
    second = tested.store.claim(Job("r1", fence=first.hold.fence), LEASE)
    assert second.can_move
    return first, second


def assert_leased(tested, hold, seconds):
    """The lease runs from when it was granted, and the row is due when it is over."""
    row = tested.row("r1")
    until = hold.granted_at + timedelta(seconds=seconds)
    assert abs(row.leased_until - until) < ONE_STATEMENT
    assert abs(row.due_at - until) < ONE_STATEMENT
    assert (row.fence, hold.seconds) == (hold.fence, seconds)


def assert_due_in(tested, seconds, receipt_id="r1"):
    """A real store's clock goes on between the write and the look at it."""
    due_in = (tested.row(receipt_id).due_at - tested.now()).total_seconds()
    assert seconds - 2 < due_in <= seconds


def counts(tested, sku):
    shelf = tested.stock(sku)
    return shelf.available, shelf.held, shelf.sold
