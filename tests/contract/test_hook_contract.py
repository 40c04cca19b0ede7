"""What every store promises the shop's own hook, the twin in memory and the real one alike."""

from dataclasses import replace

import pytest

from confirmation.confirmation import Job
from confirmation.decisions import Refusal
from confirmation.errors import ClaimLost, HookFailed, HookRefused
from confirmation.hooks import Method
from confirmation.ports import Stock
from confirmation.states import Hooked, Reason, State
from payconfirm import Refuse
from tests.contract.commits import LEASE, ORDER, claimed, commit, counts, moved, taken_over
from tests.hooks import Shop, raises

PAYMENT = {"method": "card", "purchased_at": "2026-11-23T10:00:01+09:00", "receipt_url": None}


def hooked(tested, *only, **does):
    """Give the shop a hook."""
    shop = Shop(**does)
    tested.set_hook(shop.hook(*only))
    return shop


def enter(tested, before, state, **changes):
    """Write what the rules write as a receipt enters a state."""
    stock = {State.CONFIRMED: Stock.SELL, State.REVIEW: Stock.KEEP}.get(state, Stock.RELEASE)
    after = moved(before, state, **changes)
    return tested.store.write(commit(before, after, stock=stock, lease_seconds=LEASE))


def reserved(tested, before=None):
    before = before or claimed(tested.store)
    return tested.store.reserve(commit(before, moved(before, State.SUBMITTING), lease_seconds=LEASE))


def review(tested, before):
    origin = before.origin
    changes = {"review_from": origin, "reason": Reason.GATEWAY_UNCLEAR, "owns_order": origin is State.SUBMITTING}
    return enter(tested, before, State.REVIEW, **changes)


def out_of_review(tested, before, state):
    return enter(tested, before, state, review_from=None, reason=Reason.OPERATOR)


def voided_by_a_person(tested, confirmed):
    assert tested.void("r1", confirmed.state)
    again = tested.store.claim(Job("r1", fence=tested.row("r1").fence), LEASE)
    assert (again.can_move, again.state) == (True, State.VOIDING)
    return again


# Which method is called when ------------------------------------------------------------------------------------------

#: A life, and what the shop is called for on the way.
LIVES = {
    "rejected without being reserved": (lambda t: enter(t, claimed(t.store), State.REJECTED), []),
    "voided without being reserved": (
        lambda t: enter(t, enter(t, claimed(t.store), State.VOIDING), State.VOIDED),
        [],
    ),
    "reserved": (reserved, ["on_reserve"]),
    "confirmed": (lambda t: enter(t, reserved(t), State.CONFIRMED), ["on_reserve", "on_commit"]),
    "declined": (lambda t: enter(t, reserved(t), State.REJECTED), ["on_reserve", "on_release"]),
    "paid and not deliverable": (
        lambda t: enter(t, enter(t, reserved(t), State.VOIDING), State.VOIDED),
        ["on_reserve", "on_release"],
    ),
    "nothing taken after all": (
        lambda t: enter(t, enter(t, reserved(t), State.VOIDING), State.REJECTED),
        ["on_reserve", "on_release"],
    ),
    "in review, and still held": (lambda t: review(t, reserved(t)), ["on_reserve"]),
    "confirmed from review": (
        lambda t: out_of_review(t, review(t, reserved(t)), State.CONFIRMED),
        ["on_reserve", "on_commit"],
    ),
    "rejected from review": (
        lambda t: out_of_review(t, review(t, reserved(t)), State.REJECTED),
        ["on_reserve", "on_release"],
    ),
    "voided at once from review, by a person's word": (
        lambda t: out_of_review(t, review(t, reserved(t)), State.VOIDED),
        ["on_reserve", "on_release"],
    ),
    "in review from voiding": (
        lambda t: out_of_review(t, review(t, enter(t, reserved(t), State.VOIDING)), State.VOIDED),
        ["on_reserve", "on_release"],
    ),
    "held in review, and voided by a person": (
        lambda t: enter(t, voided_by_a_person(t, review(t, reserved(t))), State.VOIDED),
        ["on_reserve", "on_release"],
    ),
    "confirmed, and its money not back yet": (
        lambda t: voided_by_a_person(t, enter(t, reserved(t), State.CONFIRMED)),
        ["on_reserve", "on_commit"],
    ),
    "confirmed, and voided by a person": (
        lambda t: enter(t, voided_by_a_person(t, enter(t, reserved(t), State.CONFIRMED)), State.VOIDED),
        ["on_reserve", "on_commit", "on_void"],
    ),
    "confirmed by a person, voided, and never paid": (
        lambda t: enter(t, voided_by_a_person(t, enter(t, reserved(t), State.CONFIRMED)), State.REJECTED),
        ["on_reserve", "on_commit", "on_void"],
    ),
}


@pytest.mark.parametrize("life", LIVES)
def test_each_commit_calls_the_shop_for_what_it_is(tested, life):
    live, called = LIVES[life]
    shop = hooked(tested)

    live(tested)

    assert shop.called == called


def test_the_shop_is_told_the_whole_order_and_how_it_stands_once_the_commit_is_made(tested):
    shop = hooked(tested)
    before = reserved(tested)
    enter(tested, replace(before, payment=PAYMENT), State.CONFIRMED)

    document = {
        "receipt_id": "r1",
        "order_id": "o1",
        "amount": 3000,
        "currency": "KRW",
        "items": [{"sku": "cap", "quantity": 1}, {"sku": "tee", "quantity": 2}],
        "callback_url": "https://shop.example/hook",
        "metadata": {"cart": "c-77"},
    }
    assert shop.calls == [
        ("on_reserve", {**document, "state": "submitting", "payment": None}),
        ("on_commit", {**document, "state": "confirmed", "payment": PAYMENT}),
    ]


def test_what_the_shop_does_to_the_order_it_is_told_changes_nothing(tested):
    def scribble(_, order):
        order["metadata"]["cart"] = "another"
        if order["payment"]:
            order["payment"]["method"] = "another"
        order.clear()

    hooked(tested, on_reserve=scribble, on_commit=scribble)
    before = reserved(tested)
    enter(tested, replace(before, payment=dict(PAYMENT)), State.CONFIRMED)

    row = tested.row("r1").confirmation
    assert before.order.metadata == row.order.metadata == {"cart": "c-77"}
    assert row.payment == PAYMENT


def test_what_the_shop_knows_stands_in_the_row(tested):
    hooked(tested)
    before = claimed(tested.store)
    assert tested.row("r1").confirmation.hooked is None

    before = reserved(tested, before)
    assert tested.row("r1").confirmation.hooked is before.hooked is Hooked.RESERVED

    enter(tested, before, State.CONFIRMED)
    assert tested.row("r1").confirmation.hooked is Hooked.COMMITTED


def test_without_a_hook_the_shop_knows_nothing(tested):
    enter(tested, reserved(tested), State.CONFIRMED)

    assert tested.row("r1").confirmation.hooked is None


def test_a_shop_with_one_method_has_its_part_in_that_commit_alone(tested):
    shop = hooked(tested, Method.ON_RELEASE)

    ended = enter(tested, reserved(tested), State.REJECTED)

    assert shop.called == ["on_release"]
    assert (ended.state, ended.hooked) == (State.REJECTED, None)


# What the shop says ---------------------------------------------------------------------------------------------------


def nothing_was_written(tested, state, available, steps):
    row = tested.row("r1")
    return (row.confirmation.state, counts(tested, "tee"), tested.steps("r1")) == (state, available, steps)


def test_a_refused_reservation_takes_nothing_and_keeps_the_hold(tested):
    hooked(tested, on_reserve=raises(Refuse("the coupon is used")))
    before = claimed(tested.store)

    with pytest.raises(HookRefused, match=r"^the coupon is used$"):
        reserved(tested, before)

    assert nothing_was_written(tested, State.RECEIVED, (5, 0, 0), [])
    assert enter(tested, before, State.REJECTED).state is State.REJECTED


def test_a_refused_payment_writes_nothing_and_keeps_the_hold(tested):
    shop = hooked(tested, on_commit=raises(Refuse("the order was cancelled")))
    before = reserved(tested)

    with pytest.raises(HookRefused, match=r"^the order was cancelled$"):
        enter(tested, before, State.CONFIRMED)

    assert nothing_was_written(tested, State.SUBMITTING, (3, 2, 0), ["submitting"])
    assert tested.outbox("r1") == []
    assert tested.row("r1").confirmation.hooked is Hooked.RESERVED
    enter(tested, before, State.VOIDING)
    assert shop.called == ["on_reserve", "on_commit", "on_release"]


def the_commit_of(method):
    """A receipt as it is before the commit that this method belongs to, and that commit."""

    def prepare(tested):
        if method == "on_reserve":
            before = claimed(tested.store)
            return lambda: reserved(tested, before)
        if method == "on_void":
            before = voided_by_a_person(tested, enter(tested, reserved(tested), State.CONFIRMED))
            return lambda: enter(tested, before, State.VOIDED)
        before = reserved(tested)
        return lambda: enter(tested, before, State.CONFIRMED if method == "on_commit" else State.REJECTED)

    return prepare


@pytest.mark.parametrize("method", [method.value for method in Method])
def test_an_error_of_the_shop_leaves_everything_as_it_was(tested, method):
    shop = hooked(tested, **{method: raises(KeyError("no such shelf"))})
    do = the_commit_of(method)(tested)
    before, shelf, steps = tested.row("r1"), counts(tested, "tee"), tested.steps("r1")

    with pytest.raises(HookFailed, match=rf"^{method}: KeyError: 'no such shelf' \(hooks.py:\d+\)$"):
        do()

    assert (tested.row("r1"), counts(tested, "tee"), tested.steps("r1")) == (before, shelf, steps)
    shop.does.clear()
    do()


@pytest.mark.parametrize("method", ["on_release", "on_void"])
def test_what_may_not_be_refused_is_an_error(tested, method):
    hooked(tested, **{method: raises(Refuse("never"))})
    do = the_commit_of(method)(tested)

    with pytest.raises(HookFailed, match=f"^{method} may not refuse: never$"):
        do()


def test_a_void_by_a_person_that_the_shop_fails_at_changes_nothing(tested):
    shop = hooked(tested, on_release=raises(KeyError("no such shelf")))
    review(tested, reserved(tested))
    before = tested.row("r1")

    with pytest.raises(HookFailed, match="no such shelf"):
        tested.void("r1", State.REVIEW)

    assert tested.row("r1") == before
    assert counts(tested, "tee") == (3, 2, 0)
    shop.does.clear()
    assert tested.void("r1", State.REVIEW)
    assert (tested.row("r1").confirmation.hooked, counts(tested, "tee")) == (None, (5, 0, 0))


# Where the shop has a part and isn't there --------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["on_commit", "on_release", "on_void"])
def test_what_was_done_under_a_hook_is_not_moved_on_without_it(tested, method):
    """A worker that was started without ORDER_HOOK would leave the shop's coupon taken for ever."""
    shop = hooked(tested)
    do = the_commit_of(method)(tested)
    before, shelf = tested.row("r1"), counts(tested, "tee")
    tested.set_hook(None)

    with pytest.raises(HookFailed, match=rf"^{method} is missing: .* ORDER_HOOK isn't set here$"):
        do()

    assert (tested.row("r1"), counts(tested, "tee")) == (before, shelf)
    tested.set_hook(shop.hook())
    do()
    assert shop.called[-1] == method


def test_a_void_by_a_person_without_the_hook_changes_nothing(tested):
    shop = hooked(tested)
    review(tested, reserved(tested))
    before = tested.row("r1")
    tested.set_hook(None)

    with pytest.raises(HookFailed, match="ORDER_HOOK isn't set here"):
        tested.void("r1", State.REVIEW)

    assert tested.row("r1") == before
    tested.set_hook(shop.hook())
    assert tested.void("r1", State.REVIEW)


def test_what_the_shop_never_knew_of_needs_no_hook(tested):
    before = reserved(tested)

    assert enter(tested, before, State.REJECTED).state is State.REJECTED


# Where there is nothing for the shop to do ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("items", "refusal"), [({"tee": 6}, Refusal.OUT_OF_STOCK), ({"nowhere": 1}, Refusal.UNKNOWN_SKU)]
)
def test_the_shop_is_not_asked_about_what_is_not_there(tested, items, refusal):
    shop = hooked(tested)

    assert reserved(tested, claimed(tested.store, replace(ORDER, items=items))) is refusal
    assert shop.called == []


@pytest.mark.parametrize(
    ("state", "refusal"), [(State.SUBMITTING, Refusal.ORDER_UNDECIDED), (State.CONFIRMED, Refusal.ORDER_PAID)]
)
def test_the_shop_is_not_asked_about_a_second_receipt_of_an_order(tested, state, refusal):
    """Its tables say that the order is being paid: a hook that refused that would reject what has only to wait."""
    shop = hooked(tested)
    first = reserved(tested)
    if state is State.CONFIRMED:
        enter(tested, first, state)
    shop.calls.clear()

    assert reserved(tested, claimed(tested.store, replace(ORDER, receipt_id="r2"))) is refusal
    assert shop.called == []


@pytest.mark.parametrize("state", [State.SUBMITTING, State.CONFIRMED, State.REJECTED])
def test_a_worker_that_has_lost_its_claim_does_not_reach_the_shop(tested, state):
    shop = hooked(tested)
    first, _ = taken_over(tested)

    with pytest.raises(ClaimLost):
        reserved(tested, first) if state is State.SUBMITTING else enter(tested, first, state)

    assert shop.called == []
