"""The pipeline over the twins: one receipt from wherever it stopped to its end, or to where it must wait."""

from dataclasses import replace
from datetime import timedelta

import pytest

from confirmation.answers import Refused, Silence
from confirmation.confirmation import MOST_IDLE_CLAIMS, Job
from confirmation.errors import ClaimLost, DifferentDocument, StoreBusy, StoreUnavailable
from confirmation.order import Money, Order
from confirmation.pipeline import confirm
from confirmation.ports import Terms
from confirmation.states import Reason, State
from sandbox.twins import Fault, TwinReceipt, Twins

ORDER = Order("r1", "o1", Money(3000, "KRW"), {"tee": 2})
TIMEOUT = Silence("timeout")
BROKEN = Silence("http 502", ended=True)
NOT_ASKED = Silence("the gateway is away", ended=True, asked=False)


class Killed(BaseException):
    """What stands for a worker that is no more."""


class Shop:
    """The twins with one receipt in them, and short words for what is done to it."""

    def __init__(self):
        self.twins = Twins()
        self.world = self.twins.world()
        self.store, self.gateway, self.clock = self.twins.store, self.twins.gateway, self.twins.clock
        self.store.stock.put("tee", 5)
        self.receipt = self.gateway.receipts["r1"] = TwinReceipt("o1", Money(3000, "KRW"))

    def deliver(self, order=ORDER):
        return confirm(Job(order.receipt_id, order), self.world)

    def sweep(self, seconds=0.0):
        """Run what is due after so many seconds."""
        self.clock.advance(seconds)
        for job in self.store.sweep():
            confirm(job, self.world)
        return self.row

    def settle(self, hours=30):
        """Let the sweep run for so long."""
        end = self.clock.now() + timedelta(hours=hours)
        while (due_at := self.store.next_due()) and due_at < end:
            self.sweep(max((due_at - self.clock.now()).total_seconds(), 0))
        self.clock.advance((end - self.clock.now()).total_seconds())
        return self.row

    @property
    def row(self):
        return self.store.rows["r1"].confirmation

    @property
    def calls(self):
        return [name for name, _ in self.gateway.calls]

    @property
    def told(self):
        return [event.type.removeprefix("payconfirm.") for event in self.store.outbox.get("r1", [])]

    @property
    def stock(self):
        count = self.store.stock.counts["tee"]
        return count.available, count.held, count.sold


class DyingGateway:
    """The gateway, at whose named call the worker dies: before it is made, or before its answer is heard."""

    def __init__(self, gateway, call, *, made):
        self._gateway, self._call, self._made = gateway, call, made

    def __getattr__(self, name):
        call = getattr(self._gateway, name)
        if name != self._call:
            return call

        def die(*arguments, **named):
            if self._made:
                call(*arguments, **named)
            raise Killed

        return die


def mid_call(shop, call, *, made=False):
    """Deliver, and have the worker die at this call."""
    world = replace(shop.world, gateway=DyingGateway(shop.gateway, call, made=made))
    with pytest.raises(Killed):
        confirm(Job("r1", ORDER), world)


@pytest.fixture
def shop():
    return Shop()


# The way that goes well -----------------------------------------------------------------------------------------------


def test_an_authorised_receipt_is_confirmed_in_one_run(shop):
    confirmation = shop.deliver()

    assert (confirmation.state, confirmation.attempts, confirmation.sequence) == (State.CONFIRMED, 1, 1)
    assert shop.calls == ["look_up", "submit"]
    assert shop.receipt.charges == 1
    assert shop.stock == (3, 0, 2)
    assert shop.told == ["confirmed"]
    assert [step.decided for step in shop.store.steps["r1"]] == ["reserve", "commit"]


def test_the_result_document_is_the_contracts(shop):
    shop.deliver(replace(ORDER, metadata={"cart": "c-77"}))

    assert shop.store.outbox["r1"][0].document == {
        "receipt_id": "r1",
        "order_id": "o1",
        "state": "confirmed",
        "final": True,
        "reason": None,
        "message": "",
        "amount": 3000,
        "currency": "KRW",
        "payment": {"method": "card", "purchased_at": None, "receipt_url": None},
        "attempts": 1,
        "sequence": 1,
        "updated_at": "2026-11-23T01:00:00.000000Z",
        "metadata": {"cart": "c-77"},
    }


def test_a_receipt_found_paid_is_confirmed_without_submitting(shop):
    shop.receipt.pay()

    assert shop.deliver().state is State.CONFIRMED
    assert shop.calls == ["look_up", "look_up"]
    assert shop.receipt.charges == 1
    assert shop.stock == (3, 0, 2)


def test_an_order_without_items_needs_no_stock(shop):
    assert shop.deliver(replace(ORDER, items={})).state is State.CONFIRMED
    assert shop.stock == (5, 0, 0)


# Duplicates -----------------------------------------------------------------------------------------------------------


def test_the_same_document_again_gets_the_same_answer_and_charges_nothing(shop):
    first = shop.deliver()

    again = shop.deliver(replace(ORDER, metadata={"other": 1}))

    assert again == first
    assert shop.receipt.charges == 1
    assert shop.told == ["confirmed"]
    assert [told.document["state"] for told in shop.store.told_again] == ["confirmed"]


def test_a_different_document_for_a_used_receipt_changes_nothing(shop):
    first = shop.deliver()

    with pytest.raises(DifferentDocument):
        shop.deliver(replace(ORDER, amount=Money(1, "KRW")))

    assert shop.row == first


def test_who_meets_the_lock_keeps_the_row_and_goes(shop):
    with shop.twins.lock("r1"):
        kept = shop.deliver()

    assert (kept.state, kept.can_move, shop.calls) == (State.RECEIVED, False, [])
    assert shop.sweep(1.9).state is State.RECEIVED
    assert shop.sweep(0.1).state is State.CONFIRMED


def test_the_sweeps_message_that_meets_the_lock_does_nothing(shop):
    with shop.twins.lock("r1"):
        assert confirm(Job("r1"), shop.world) is None

    assert shop.store.rows == {}


def test_without_the_locks_server_the_work_goes_on(shop):
    shop.twins.lock.away = True

    with shop.twins.lock("r1"):
        assert shop.deliver().state is State.CONFIRMED


def test_a_second_worker_does_nothing_while_the_lease_runs(shop):
    mid_call(shop, "look_up")
    shop.twins.lock.away = True

    assert not shop.deliver().can_move
    assert shop.sweep(9).attempts == 1
    assert shop.sweep(1).attempts == 2


# Plain rejections -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"amount": Money(3001, "KRW")}, "amount_mismatch"),
        ({"amount": Money(3000, "USD")}, "currency_mismatch"),
        ({"order_id": "o2"}, "order_mismatch"),
        ({"order_id": "o2", "status": 1, "charges": 1}, "order_mismatch"),
        ({"status": -2}, "payment_failed"),
        ({"status": 20, "cancelled": 3000}, "already_cancelled"),
        ({"status": 11}, "not_ready"),
        ({"status": 5}, "awaiting_deposit"),
        ({"virtual_account": True}, "awaiting_deposit"),
    ],
)
def test_what_cannot_be_paid_is_rejected_before_anything_is_sent(shop, changes, reason):
    vars(shop.receipt).update(changes)

    confirmation = shop.deliver()

    assert (confirmation.state, confirmation.reason) == (State.REJECTED, reason)
    assert shop.calls == ["look_up"]
    assert shop.stock == (5, 0, 0)
    assert shop.told == ["rejected"]


@pytest.mark.parametrize(
    ("items", "reason"),
    [({"tee": 6}, "out_of_stock"), ({"nowhere": 1}, "unknown_sku")],
)
@pytest.mark.parametrize("paid", [False, True])
def test_what_cannot_be_delivered_is_rejected_or_its_money_goes_back(shop, items, reason, paid):
    if paid:
        shop.receipt.pay()

    confirmation = shop.deliver(replace(ORDER, items=items))

    assert (confirmation.state, confirmation.reason) == (State.VOIDED if paid else State.REJECTED, reason)
    assert shop.calls == (["look_up", "look_up", "cancel"] if paid else ["look_up"])
    assert shop.receipt.taken == 0
    assert shop.stock == (5, 0, 0)


def test_a_receipt_that_is_not_there_is_rejected_after_ten_seconds(shop):
    del shop.gateway.receipts["r1"]

    assert shop.deliver().state is State.RECEIVED
    assert shop.settle(hours=9.9 / 3600).state is State.RECEIVED
    assert shop.settle(hours=0.2 / 3600).reason is Reason.RECEIPT_NOT_FOUND
    assert shop.row.message == "no such receipt"


def test_a_receipt_that_was_not_there_is_taken_over_by_another_document(shop):
    del shop.gateway.receipts["r1"]
    shop.deliver()
    shop.settle(hours=0.1)
    shop.gateway.receipts["r1"] = TwinReceipt("o2", Money(5, "KRW"))

    confirmation = shop.deliver(Order("r1", "o2", Money(5, "KRW")))

    assert (confirmation.state, confirmation.sequence) == (State.CONFIRMED, 2)


def test_past_the_deadline_nothing_is_submitted(shop):
    shop.gateway.tell("r1", "look_up", Fault(TIMEOUT))
    shop.deliver()
    shop.clock.advance(600)

    assert shop.sweep().reason is Reason.DEADLINE_EXCEEDED
    assert "submit" not in shop.calls


# Unclear submits ------------------------------------------------------------------------------------------------------

UNCLEAR = [TIMEOUT, BROKEN, Silence("http 429", ended=True, retry_after_seconds=3), Refused("-1001", "no")]


@pytest.mark.parametrize("answer", UNCLEAR)
def test_an_unclear_submit_that_took_is_confirmed_by_the_look_up(shop, answer):
    shop.gateway.tell("r1", "submit", Fault(answer))

    assert shop.deliver().state is State.CONFIRMED
    assert shop.calls == ["look_up", "submit", "look_up"]
    assert shop.receipt.charges == 1


@pytest.mark.parametrize("answer", UNCLEAR)
def test_an_unclear_submit_that_did_not_take_is_sent_again_after_two_looks(shop, answer):
    shop.gateway.tell("r1", "submit", Fault(answer, acts=False))

    assert shop.deliver().state is State.SUBMITTING
    assert shop.stock == (3, 2, 0), "what is undecided stays held"
    assert shop.settle().state is State.CONFIRMED
    assert shop.calls.count("submit") == 2
    assert shop.receipt.charges == 1


@pytest.mark.parametrize(("answer", "seconds"), [(BROKEN, 3), (TIMEOUT, 18 + 3)])
def test_a_second_submit_keeps_its_distance(shop, answer, seconds):
    """
    An ended call's distance is 3 s; one that was given up may be at work until its lease is over.
    """
    shop.gateway.tell("r1", "submit", Fault(answer, acts=False))
    shop.deliver()
    submitted = shop.clock.tick()

    while shop.calls.count("submit") < 2:
        shop.sweep(0.25)

    assert seconds <= shop.clock.tick() - submitted < seconds + 2


@pytest.mark.parametrize(("answer", "acts"), [(TIMEOUT, True), (BROKEN, True), (Refused("-1001"), True)])
def test_an_unclear_submit_that_shows_late_is_never_sent_again(shop, answer, acts):
    hidden = 2.5 if answer is not TIMEOUT else 11.5
    shop.receipt.api = "v1"
    shop.gateway.tell("r1", "submit", Fault(answer, acts=acts, shows=2, shows_seconds=hidden))

    shop.deliver()

    assert shop.settle().state is State.CONFIRMED
    assert shop.receipt.charges == 1


def test_a_submit_that_stays_in_flight_past_the_deadline_is_asked_about_and_found_later(shop):
    shop.gateway.tell("r1", "submit", Fault(TIMEOUT, shows=4, shows_seconds=1200))

    shop.deliver()
    assert shop.settle(hours=0.3).state is State.REVIEW
    assert shop.stock == (3, 2, 0)
    assert shop.settle().state is State.CONFIRMED
    assert shop.told == ["review", "confirmed"]


def test_three_submits_that_did_not_take_are_a_case_for_people(shop):
    shop.gateway.tell("r1", "submit", *[Fault(BROKEN, acts=False)] * 9)

    shop.deliver()
    shop.settle(hours=0.02)

    assert (shop.row.state, shop.row.reason) == (State.REVIEW, Reason.GATEWAY_UNCLEAR)
    assert shop.calls.count("submit") == 3
    assert shop.settle().reason is Reason.DEADLINE_EXCEEDED
    assert shop.told == ["review", "rejected"]
    assert shop.stock == (5, 0, 0)


@pytest.mark.parametrize("status", [2, -2])
def test_an_explicit_decline_is_a_no(shop, status):
    shop.receipt.declined_as = status

    confirmation = shop.deliver()

    assert (confirmation.state, confirmation.reason) == (State.REJECTED, Reason.DECLINED)
    assert confirmation.message == "the card was declined"
    assert shop.stock == (5, 0, 0)


def test_v2s_other_refusals_are_never_a_decline_however_often_they_come(shop):
    """
    v2 has a code for a decline. The others say that something else is odd: people are asked, no buyer is rejected.
    """
    refusal = Refused("RC_NOT_CONFIRM_READY", "odd")
    shop.gateway.tell("r1", "submit", *[Fault(refusal, acts=False)] * 3)

    shop.deliver()

    assert shop.settle(hours=0.1).reason is Reason.GATEWAY_UNCLEAR
    assert shop.row.state is State.REVIEW
    assert shop.calls.count("submit") == 3


def test_the_same_refusal_twice_is_a_decline_where_declines_have_no_code(shop):
    shop.receipt.api, shop.receipt.declined_as = "v1", 2

    assert shop.deliver().state is State.SUBMITTING
    assert shop.settle(hours=0.01).reason is Reason.DECLINED
    assert shop.calls.count("submit") == 2


def test_two_different_refusals_are_no_decline(shop):
    shop.gateway.tell("r1", "submit", Fault(Refused("-1"), acts=False), Fault(Refused("-2"), acts=False))

    shop.deliver()

    assert shop.settle().state is State.CONFIRMED
    assert shop.calls.count("submit") == 3


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


# Drift ----------------------------------------------------------------------------------------------------------------


def webhook(shop):
    shop.store.look_now("r1")
    return shop.sweep()


def test_a_confirmed_receipt_that_was_cancelled_at_the_gateway_drifts_once_and_nothing_changes(shop):
    shop.deliver()
    before, stock = shop.row, shop.stock
    shop.receipt.status, shop.receipt.cancelled = 20, 3000

    webhook(shop)
    webhook(shop)

    assert shop.told == ["confirmed", "drift"]
    assert (shop.row.state, shop.row.reason, shop.row.owns_order) == (State.CONFIRMED, None, True)
    assert (shop.row.sequence, shop.stock, shop.row.state_since) == (2, stock, before.state_since)
    assert shop.calls == ["look_up", "submit", "look_up", "look_up"]


def test_a_look_at_a_confirmed_receipt_that_finds_nothing_new_says_nothing(shop):
    shop.deliver()

    webhook(shop)

    assert shop.told == ["confirmed"]
    assert shop.store.rows["r1"].due_at is None


def test_a_look_at_a_confirmed_receipt_that_gets_no_word_is_made_again(shop):
    shop.deliver()
    shop.receipt.status, shop.receipt.cancelled = 20, 3000
    shop.gateway.tell("r1", "look_up", Fault(BROKEN), Fault(BROKEN))

    webhook(shop)
    assert shop.told == ["confirmed"]

    shop.settle(hours=1)
    assert shop.told == ["confirmed", "drift"]


def test_what_has_drifted_can_be_cancelled_again_and_drifts_again_only_if_it_was_seen_paid_between(shop):
    shop.deliver()
    for status, cancelled in ((20, 3000), (1, 0), (20, 3000)):
        shop.receipt.status, shop.receipt.cancelled = status, cancelled
        webhook(shop)

    assert shop.told == ["confirmed", "drift", "drift"]


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


# One order, one payment -----------------------------------------------------------------------------------------------


def second_receipt(shop, status=2):
    shop.gateway.receipts["r2"] = TwinReceipt("o1", Money(3000, "KRW"), status=status, charges=int(status == 1))
    return replace(ORDER, receipt_id="r2")


@pytest.mark.parametrize(("status", "state"), [(2, State.REJECTED), (1, State.VOIDED)])
def test_a_second_receipt_of_a_paid_order_is_rejected_or_voided(shop, status, state):
    shop.deliver()

    second = shop.deliver(second_receipt(shop, status))

    assert (second.state, second.reason) == (state, Reason.ORDER_ALREADY_PAID)
    assert shop.gateway.receipts["r2"].taken == 0


def test_a_second_receipt_waits_until_the_first_is_decided(shop):
    mid_call(shop, "submit")
    order = second_receipt(shop)

    assert shop.deliver(order).state is State.RECEIVED
    shop.settle()

    assert shop.row.state is State.CONFIRMED
    assert shop.store.rows["r2"].confirmation.reason is Reason.ORDER_ALREADY_PAID


def test_a_second_receipt_is_confirmed_when_the_first_is_declined(shop):
    mid_call(shop, "submit")
    shop.receipt.status = -2
    order = second_receipt(shop)
    shop.deliver(order)

    shop.settle()

    assert shop.row.state is State.REJECTED
    assert shop.store.rows["r2"].confirmation.state is State.CONFIRMED


# Late looks and money that goes back ----------------------------------------------------------------------------------


def test_a_rejection_that_is_later_found_paid_is_voided(shop):
    shop.store.stock.put("tee", 0)
    assert shop.deliver().reason is Reason.OUT_OF_STOCK
    shop.receipt.pay()

    shop.settle()

    assert (shop.row.state, shop.row.reason) == (State.VOIDED, Reason.LATE_APPROVAL)
    assert shop.told == ["rejected", "voided"]
    assert shop.receipt.taken == 0


def test_a_cancel_that_had_failed_before_it_was_ours_to_send_is_sent_once(shop):
    """A rejection that a late look finds paid, after a cancel that somebody else had failed with."""
    shop.store.stock.put("tee", 0)
    assert shop.deliver().reason is Reason.OUT_OF_STOCK
    shop.receipt.pay()
    shop.receipt.status, shop.receipt.api = -20, "v1"

    shop.settle()

    assert shop.calls.count("cancel") == 1
    assert (shop.row.state, shop.row.reason) == (State.VOIDED, Reason.LATE_APPROVAL)


def test_a_rejection_is_looked_at_on_a_webhook_however_late(shop):
    shop.store.stock.put("tee", 0)
    shop.deliver()
    shop.settle(hours=1000)
    shop.receipt.pay()

    shop.store.look_now("r1")

    assert shop.settle().state is State.VOIDED


def test_a_late_look_does_not_change_what_was_told(shop):
    shop.store.stock.put("tee", 0)
    shop.deliver()
    told = [*shop.store.outbox["r1"]]

    shop.settle()
    shop.deliver()

    assert shop.store.outbox["r1"] == told
    assert shop.store.told_again == told


def voiding(shop):
    """A paid receipt that can't be delivered."""
    shop.receipt.pay()
    shop.store.stock.put("tee", 1)


def test_a_lost_answer_to_a_cancel_is_settled_by_the_look_up(shop):
    voiding(shop)
    shop.gateway.tell("r1", "cancel", Fault(TIMEOUT))

    assert shop.deliver().state is State.VOIDING
    assert shop.settle().state is State.VOIDED
    assert [*shop.receipt.cancels] == ["r1-1"]


def test_a_cancel_that_did_not_take_is_sent_again_under_the_same_id(shop):
    voiding(shop)
    shop.gateway.tell("r1", "cancel", Fault(TIMEOUT, acts=False), Fault(BROKEN, acts=False))

    shop.deliver()

    assert shop.settle().state is State.VOIDED
    assert [*shop.receipt.cancels] == ["r1-1"]
    assert shop.calls.count("cancel") == 3


def test_a_refused_cancel_is_sent_again_under_a_new_id(shop):
    voiding(shop)
    shop.gateway.tell("r1", "cancel", Fault(Refused("RC_LATER"), acts=False), Fault(Refused("RC_LATER"), acts=False))

    shop.deliver()

    assert shop.settle().state is State.VOIDED
    assert [*shop.receipt.cancels] == ["r1-1", "r1-2", "r1-3"]


def test_after_a_day_of_refused_cancels_people_are_asked_and_it_goes_on(shop):
    voiding(shop)
    shop.gateway.tell("r1", "cancel", *[Fault(Refused("RC_LATER"), acts=False)] * 200)

    shop.deliver()
    shop.settle(hours=24.5)
    assert (shop.row.state, shop.row.reason) == (State.REVIEW, Reason.CANCEL_FAILED)

    assert shop.settle(hours=48).state is State.VOIDED
    assert shop.told == ["review", "voided"]


def test_money_that_goes_back_does_not_wait_for_minutes_since_nobody_could_ask_for_a_while(shop):
    """A gateway that comes and goes has it looked at early, again and again: that is no failure of the receipt."""
    voiding(shop)
    shop.gateway.tell("r1", "cancel", *[Fault(BROKEN, acts=False)] * 2)
    shop.deliver()
    shop.gateway.tell("r1", "look_up", *[Fault(NOT_ASKED)] * 10)

    waits = []
    while shop.calls.count("cancel") < 2:
        waits.append((shop.store.next_due() - shop.clock.now()).total_seconds())
        shop.sweep(waits[-1])

    assert len(waits) == 11
    assert max(waits) <= 10
    assert shop.settle().state is State.VOIDED


def test_money_that_was_not_taken_after_all_ends_as_rejected(shop):
    voiding(shop)
    shop.gateway.tell("r1", "cancel", Fault(TIMEOUT, acts=False))
    shop.deliver()
    shop.receipt.status, shop.receipt.charges = -2, 0

    shop.settle()

    assert (shop.row.state, shop.row.reason) == (State.REJECTED, Reason.OUT_OF_STOCK)


def test_a_virtual_accounts_money_is_for_people(shop):
    voiding(shop)
    shop.receipt.virtual_account = True

    shop.deliver()

    assert (shop.row.state, shop.row.reason) == (State.REVIEW, Reason.VIRTUAL_ACCOUNT_REFUND)
    assert "cancel" not in shop.calls


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
