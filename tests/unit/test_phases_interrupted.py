"""The pipeline whose worker dies, stands still or meets a store in trouble, wherever it was."""

from dataclasses import replace
from datetime import timedelta

import pytest

from confirmation.confirmation import MOST_IDLE_CLAIMS, Job
from confirmation.errors import ClaimLost, StoreBusy, StoreUnavailable
from confirmation.pipeline import confirm
from confirmation.ports import Terms
from confirmation.states import Reason, State
from sandbox.twins import Fault
from tests.unit.twin_shop import BROKEN, ORDER, TIMEOUT, DyingGateway, Killed, mid_call, voiding

# Killed workers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("made", [False, True])
@pytest.mark.parametrize("call", ["look_up", "submit"])
def test_a_killed_workers_receipt_goes_on_from_where_it_stopped(shop, call, made):
    mid_call(shop, call, made=made)

    assert shop.row.state is (State.RECEIVED if call == "look_up" else State.SUBMITTING)
    assert shop.settle().state is State.CONFIRMED
    assert shop.receipt.charges == 1
    assert shop.stock == (3, 0, 2)
    assert shop.told == ["confirmed"]


@pytest.mark.parametrize("made", [False, True])
def test_a_worker_killed_while_money_goes_back_sends_it_back_once(shop, made):
    shop.receipt.pay()
    shop.store.stock.put("tee", 1)
    mid_call(shop, "cancel", made=made)
    assert shop.row.state is State.VOIDING

    assert shop.settle().state is State.VOIDED
    assert shop.receipt.cancelled == 3000
    assert shop.told == ["voided"]


@pytest.mark.parametrize("call", ["look_up", "submit"])
def test_a_killed_workers_receipt_moves_again_within_twenty_seconds(shop, call):
    mid_call(shop, call, made=True)

    assert shop.sweep(20).state is State.CONFIRMED


def test_a_document_that_ends_its_workers_is_given_to_people_and_never_rejected(shop):
    mid_call(shop, "look_up")
    dying = replace(shop.world, gateway=DyingGateway(shop.gateway, "look_up", made=False))
    for _ in range(MOST_IDLE_CLAIMS - 1):
        shop.clock.advance(10)
        for job in shop.store.sweep():
            with pytest.raises(Killed):
                confirm(job, dying)
    assert shop.row.state is State.RECEIVED

    shop.sweep(10)

    assert (shop.row.state, shop.row.reason) == (State.REVIEW, Reason.KEEPS_CRASHING)
    assert shop.told == ["review"]


def test_a_receipt_that_kept_crashing_and_was_charged_is_still_confirmed(shop):
    mid_call(shop, "submit", made=True)
    shop.store.rows["r1"].confirmation = replace(shop.row, idle_claims=MOST_IDLE_CLAIMS)

    assert shop.sweep(18).reason is Reason.KEEPS_CRASHING
    assert shop.stock == (3, 2, 0)
    assert shop.settle().state is State.CONFIRMED


@pytest.mark.parametrize("late", [False, True])
def test_what_keeps_crashing_after_its_end_is_left_in_peace_for_a_while(shop, late):
    if late:
        shop.receipt.status = 0
        shop.deliver()
        shop.sweep(11)
        assert shop.row.state is State.REJECTED
    else:
        shop.deliver()
    ended = shop.row.state
    shop.store.rows["r1"].confirmation = replace(shop.row, idle_claims=MOST_IDLE_CLAIMS)
    shop.store.look_now("r1")
    looks = len(shop.calls)

    shop.sweep()

    assert (shop.row.state, shop.row.idle_claims, len(shop.calls)) == (ended, 0, looks)
    assert shop.store.rows["r1"].due_at == shop.clock.now() + timedelta(minutes=10)


def test_a_submit_that_waited_for_a_free_call_is_at_work_for_its_whole_lease(shop):
    def slow(*, urgent):
        shop.clock.advance(3)
        return urgent

    shop.gateway.tell("r1", "submit", Fault(TIMEOUT, acts=False))
    before = shop.clock.now()
    confirm(Job("r1", ORDER), replace(shop.world, budget=slow))

    waited = timedelta(seconds=2 * 3)  # for the look-up and for the submit
    assert shop.row.submitted_until >= before + waited + timedelta(seconds=Terms().submit_lease_seconds)


# A store in trouble ---------------------------------------------------------------------------------------------------


class TroubledStore:
    """The store, whose next calls of one name raise, before or after they did what they do."""

    def __init__(self, store, call, error, *, after=False, times=1):
        self._store, self._call, self._error, self._after, self._times = store, call, error, after, times

    def __getattr__(self, name):
        call = getattr(self._store, name)
        if name != self._call or self._times == 0:
            return call
        self._times -= 1

        def fail(*arguments):
            if self._after:
                call(*arguments)
            raise self._error

        return fail


@pytest.mark.parametrize(("call", "state"), [("reserve", State.RECEIVED), ("write", State.SUBMITTING)])
def test_a_commit_that_meets_its_own_timeouts_parks(shop, call, state):
    world = replace(shop.world, store=TroubledStore(shop.store, call, StoreBusy()))

    parked = confirm(Job("r1", ORDER), world)

    assert (parked.state, parked.parks, parked.can_move) == (state, 1, False)
    assert shop.settle().state is State.CONFIRMED
    assert shop.receipt.charges == 1


@pytest.mark.parametrize("left", [300, 0.5])
def test_a_commit_that_meets_its_own_timeouts_waits_no_longer_than_any_other(shop, left):
    shop.store.keep(ORDER, 0)
    shop.store.rows["r1"].confirmation = replace(shop.row, parks=9)
    shop.clock.advance(600 - left)
    world = replace(shop.world, store=TroubledStore(shop.store, "reserve", StoreBusy()), jitter=lambda: 1.0)

    confirm(Job("r1"), world)

    wait = (shop.store.rows["r1"].due_at - shop.clock.now()).total_seconds()
    assert wait == pytest.approx(min(left, 10), abs=0.1)


def test_a_commit_that_meets_its_own_timeouts_forgets_no_decline(shop):
    shop.receipt.declined_as = 2
    world = replace(shop.world, store=BusyAt(shop.store, State.REJECTED))

    assert confirm(Job("r1", ORDER), world).state is State.SUBMITTING

    assert shop.settle().reason is Reason.DECLINED
    assert shop.calls.count("submit") == 1


class BusyAt:
    """The store, busy when a row is to enter this state."""

    def __init__(self, store, state):
        self._store, self._state = store, state

    def __getattr__(self, name):
        return getattr(self._store, name)

    def write(self, commit):
        if commit.after.state is self._state:
            raise StoreBusy
        return self._store.write(commit)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("call", ["reserve", "write"])
def test_a_commit_without_an_answer_is_answered_by_the_row(shop, call, after):
    world = replace(shop.world, store=TroubledStore(shop.store, call, StoreUnavailable(), after=after))

    with pytest.raises(StoreUnavailable):
        confirm(Job("r1", ORDER), world)

    assert shop.settle().state is State.CONFIRMED
    assert shop.receipt.charges == 1
    assert shop.told == ["confirmed"]


# Stale workers --------------------------------------------------------------------------------------------------------


class PausedGateway:
    """The gateway, in whose named call the worker stands still: others run meanwhile."""

    def __init__(self, gateway, call, meanwhile):
        self._gateway, self._call, self._meanwhile = gateway, call, meanwhile

    def __getattr__(self, name):
        call = getattr(self._gateway, name)
        if name != self._call:
            return call

        def paused(*arguments, **named):
            answer = call(*arguments, **named)
            self._meanwhile()
            return answer

        return paused


@pytest.mark.parametrize("call", ["look_up", "submit"])
def test_a_worker_that_was_overtaken_changes_nothing(shop, call):
    gateway = PausedGateway(shop.gateway, call, lambda: shop.settle(hours=0.02))

    with pytest.raises(ClaimLost):
        confirm(Job("r1", ORDER), replace(shop.world, gateway=gateway))

    assert shop.row.state is State.CONFIRMED
    assert shop.receipt.charges == 1
    assert shop.told == ["confirmed"]
    assert shop.store.rows["r1"].due_at is None


def test_an_answer_that_lies_about_is_as_old_as_its_question(shop):
    """Two looks are as far apart as they were asked; a worker that stood still over an answer adds nothing."""
    shop.gateway.tell("r1", "submit", Fault(BROKEN, acts=True, shows=2, shows_seconds=2.5))
    shop.deliver()
    gateway = PausedGateway(shop.gateway, "look_up", lambda: shop.clock.advance(6))
    shop.clock.advance(1.5)

    confirm(*shop.store.sweep(), replace(shop.world, gateway=gateway))

    assert shop.row.state is State.SUBMITTING
    assert shop.settle().state is State.CONFIRMED
    assert shop.calls.count("submit") == 1


def test_a_worker_without_enough_of_its_lease_sends_nothing(shop):
    lookup_takes_long = PausedGateway(shop.gateway, "look_up", lambda: None)
    world = replace(shop.world, gateway=lookup_takes_long, store=SlowStore(shop.store, shop.clock, "reserve", 7))

    with pytest.raises(ClaimLost):
        confirm(Job("r1", ORDER), world)

    assert shop.calls == ["look_up"]
    assert shop.row.state is State.SUBMITTING


class SlowStore:
    """The store, whose answer to one call takes so many seconds to arrive."""

    def __init__(self, store, clock, call, seconds):
        self._store, self._clock, self._call, self._seconds = store, clock, call, seconds

    def __getattr__(self, name):
        call = getattr(self._store, name)
        if name != self._call:
            return call

        def slow(*arguments):
            answer = call(*arguments)
            self._clock.advance(self._seconds)
            return answer

        return slow


# Leases ---------------------------------------------------------------------------------------------------------------


class WatchedGateway:
    """The gateway, keeping how much of the lease was left of each call."""

    def __init__(self, shop):
        self._shop = shop
        self.left = []

    def __getattr__(self, name):
        def call(*arguments, start_by):
            self.left.append((name, start_by - self._shop.clock.tick()))
            return getattr(self._shop.gateway, name)(*arguments, start_by=start_by)

        return call


def test_every_call_begins_under_a_lease_that_outlives_it(shop):
    voiding(shop)
    terms = Terms()
    watched = WatchedGateway(shop)

    confirm(Job("r1", ORDER), replace(shop.world, gateway=watched))

    assert watched.left == [
        ("look_up", terms.lookup_lease_seconds - terms.lookup_seconds),
        ("look_up", terms.lookup_lease_seconds - terms.lookup_seconds),
        ("cancel", terms.submit_lease_seconds - terms.submit_seconds),
    ]


def test_nothing_is_submitted_once_the_deadline_passed_between_the_reservation_and_the_call(shop):
    """
    The reservation may have waited for a lock while the deadline went by.
    """
    reserve = shop.store.reserve

    def slow_reserve(commit):
        shop.clock.advance(Terms().deadline.total_seconds())
        return reserve(commit)

    shop.store.reserve = slow_reserve

    shop.deliver()

    assert "submit" not in shop.calls
    assert shop.settle().reason is Reason.DEADLINE_EXCEEDED
    assert shop.receipt.charges == 0
