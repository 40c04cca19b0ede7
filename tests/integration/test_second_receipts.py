"""One order, one payment: a second receipt of an order, ready or paid, before and after the first one is decided.

The first stands somehow, the second comes, and then the first one is decided. The order's money is what the gateway
keeps for both.
"""

from typing import NamedTuple

import pytest

from confirmation.states import State
from tests.integration.cell_house import FINAL, NONE_LEFT, NUMBERS, SUBMIT_IS_OVER, TEES, TERMS
from worker.store.operating import Operating

READY, PAID = 2, 1


@pytest.fixture
def house(cell_house):
    return cell_house


@pytest.fixture
def order_id():
    return f"order-of-two-{next(NUMBERS)}"


# How the first one stands ---------------------------------------------------------------------------------------------


def submitting(house, order_id):
    first = house.begin(order_id=order_id)
    house.sandbox.script("approve", "no_answer", receipt_id=first)
    house.look(first)
    house.let_pass(first, SUBMIT_IS_OVER)
    return first


def in_review(house, order_id):
    first = submitting(house, order_id)
    house.sandbox.script("receipt", "status", receipt_id=first, status=77)
    house.look(first)
    return first


def confirmed(house, order_id):
    first = house.begin(order_id=order_id)
    house.look(first)
    return first


def rejected(house, order_id):
    first = house.begin(order_id=order_id)
    house.sandbox.script("approve", "decline", receipt_id=first)
    house.look(first)
    return first


def voiding(house, order_id):
    first = house.begin(NONE_LEFT, order_id=order_id, status=PAID)
    house.sandbox.script("cancel", "no_answer", receipt_id=first)
    house.look(first)
    return first


def voiding_what_it_had_held(house, order_id):
    first = submitting(house, order_id)
    house.sandbox.change(first, status=PAID, price=3001)
    house.sandbox.script("cancel", "no_answer", receipt_id=first)
    assert house.seen(first).state is State.VOIDING
    return first


def asked_before_it_held_anything(house, order_id):
    first = house.begin(order_id=order_id)
    house.sandbox.script("receipt", "status", receipt_id=first, status=77)
    house.look(first)
    return first


UNDECIDED = {"submitting": submitting, "in review, was submitting": in_review}


class Moment(NamedTuple):
    """A second receipt meets a first one, and what becomes of the second."""

    first: str
    second: int
    ends: str


def decide(house, first, *, paid):
    """Let the gateway say how the first one ended."""
    house.sandbox.change(first, status=PAID if paid else -2)
    standing = house.seen(first)
    assert standing.state is (State.CONFIRMED if paid else State.REJECTED)


def kept(house, *receipt_ids):
    """The order's money, as the gateway has it."""
    return sum(house.account(receipt_id).kept for receipt_id in receipt_ids)


# While the first is undecided -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("stands", UNDECIDED)
@pytest.mark.parametrize("second_at", [READY, PAID])
@pytest.mark.parametrize("first_is_paid", [True, False])
def test_a_second_receipt_waits_until_the_first_is_decided(house, order_id, stands, second_at, first_is_paid):
    first = UNDECIDED[stands](house, order_id)
    second = house.begin(order_id=order_id, status=second_at)

    waiting = house.seen(second)
    assert (waiting.state, waiting.stock, waiting.owns_order) == (State.RECEIVED, {}, False)
    house.wait(second)
    house.look_if_due(second)
    assert house.standing(second).state is State.RECEIVED
    assert house.account(second).moved == []

    decide(house, first, paid=first_is_paid)
    standing = house.until_it_rests(second)

    after_paid = "rejected order_already_paid" if second_at == READY else "voided order_already_paid"
    assert standing.ended == (after_paid if first_is_paid else "confirmed")
    assert house.account(second).calls["approve"] == (second_at == READY and not first_is_paid)
    assert kept(house, first, second) == 3000


@pytest.mark.parametrize("stands", UNDECIDED)
@pytest.mark.parametrize(
    ("second_at", "ends"), [(READY, "rejected deadline_exceeded"), (PAID, "review order_undecided")]
)
def test_past_its_own_deadline_a_second_receipt_is_rejected_if_ready_and_asked_about_if_paid(
    house, order_id, stands, second_at, ends
):
    first = UNDECIDED[stands](house, order_id)
    second = house.begin(order_id=order_id, status=second_at)
    house.look(second)
    house.let_pass(second, TERMS.deadline)

    standing = house.seen(second)

    assert standing.ended == ends
    assert (standing.stock, standing.owns_order) == ({}, False)
    assert house.account(second).moved == []
    assert house.standing(first).owns_order


@pytest.mark.parametrize("first_is_paid", [True, False])
def test_one_that_people_were_asked_about_ends_by_itself_when_the_first_is_decided(house, order_id, first_is_paid):
    first = submitting(house, order_id)
    second = house.begin(order_id=order_id, status=PAID)
    house.let_pass(second, TERMS.deadline)
    house.look(second)
    house.wait(second)
    house.look_if_due(second)
    assert house.standing(second).ended == "review order_undecided"

    decide(house, first, paid=first_is_paid)
    standing = house.seen(second)

    assert standing.ended == ("voided order_already_paid" if first_is_paid else "confirmed")
    assert standing.announced == ["review", standing.state.value]
    assert kept(house, first, second) == 3000


def test_the_first_past_its_deadline_gives_the_order_up_to_one_that_waits(house, order_id):
    first = submitting(house, order_id)
    second = house.begin(order_id=order_id)
    house.look(second)

    house.let_pass(first, TERMS.deadline)
    standing = house.until_it_rests(first)
    assert standing.ended == "rejected deadline_exceeded"

    assert house.until_it_rests(second).ended == "confirmed"
    assert kept(house, first, second) == 3000


# Once the first is decided, or where it never owned the order ---------------------------------------------------------

AFTER = [
    Moment("confirmed", READY, "rejected order_already_paid"),
    Moment("confirmed", PAID, "voided order_already_paid"),
    Moment("rejected", READY, "confirmed"),
    Moment("rejected", PAID, "confirmed"),
    Moment("voiding", READY, "confirmed"),
    Moment("voiding", PAID, "confirmed"),
    Moment("voiding, was submitting", READY, "confirmed"),
    Moment("voiding, was submitting", PAID, "confirmed"),
    Moment("review, was received", READY, "confirmed"),
    Moment("review, was received", PAID, "confirmed"),
]
FIRST = {
    "confirmed": confirmed,
    "rejected": rejected,
    "voiding": voiding,
    "voiding, was submitting": voiding_what_it_had_held,
    "review, was received": asked_before_it_held_anything,
}


@pytest.mark.parametrize("moment", AFTER, ids=lambda moment: f"{moment.first}, {moment.second}: {moment.ends}")
def test_a_second_receipt_is_decided_at_once_where_the_first_is_or_does_not_own_the_order(house, order_id, moment):
    first = FIRST[moment.first](house, order_id)
    before = house.standing(first)
    second = house.begin(order_id=order_id, status=moment.second)

    standing = house.seen(second)

    assert standing.ended == moment.ends
    submitted = moment.second == READY and moment.ends == "confirmed"
    assert house.account(second).calls["approve"] == submitted
    assert house.account(second).kept == (3000 if moment.ends == "confirmed" else 0)
    assert standing.stock == ({"tee": "sold"} if moment.ends == "confirmed" else {})
    assert house.standing(first) == before


def test_a_first_that_was_asked_about_and_is_then_paid_goes_back_where_the_second_was_confirmed(house, order_id):
    first = asked_before_it_held_anything(house, order_id)
    second = house.begin(order_id=order_id)
    house.look(second)
    assert house.standing(second).state is State.CONFIRMED

    house.sandbox.change(first, status=PAID)
    standing = house.seen(first)

    assert standing.ended == "voided order_already_paid"
    assert kept(house, first, second) == 3000


def test_a_first_that_was_asked_about_and_is_still_ready_is_never_submitted(house, order_id):
    first = asked_before_it_held_anything(house, order_id)
    house.look(house.begin(order_id=order_id))

    house.look(first)
    house.let_pass(first, TERMS.deadline)
    standing = house.until_it_rests(first, ends=FINAL)

    assert standing.ended == "rejected deadline_exceeded"
    assert house.account(first).calls["approve"] == 0


def test_a_second_that_was_turned_away_and_is_then_found_paid_goes_back(house, order_id):
    first = confirmed(house, order_id)
    second = house.begin(order_id=order_id)
    house.look(second)
    house.sandbox.change(second, status=PAID)

    standing = house.seen(second)

    assert standing.ended == "voided late_approval"
    assert standing.announced == ["rejected", "voided"]
    assert kept(house, first, second) == 3000
    assert house.standing(first).state is State.CONFIRMED


def test_an_order_whose_payment_a_person_sends_back_is_free_for_another(house, order_id):
    first = confirmed(house, order_id)
    assert Operating(house.engine).void(first, State.CONFIRMED, "kim", restock=True)
    second = house.begin(order_id=order_id)

    assert house.seen(second).ended == "confirmed"

    assert house.seen(first).ended == "voided operator"
    assert kept(house, first, second) == 3000


def test_three_receipts_of_one_order_are_one_payment(house, order_id):
    """Whoever waits is not let in by another who waits."""
    first = submitting(house, order_id)
    second, third = (house.begin(order_id=order_id, status=status) for status in (READY, PAID))
    for waits in (second, third):
        house.look(waits)
        assert house.standing(waits).state is State.RECEIVED

    decide(house, first, paid=False)
    assert house.until_it_rests(third).ended == "confirmed"

    assert house.until_it_rests(second).ended == "rejected order_already_paid"
    assert kept(house, first, second, third) == 3000


def test_a_second_receipt_whose_items_are_gone_is_told_of_the_order_first(house, order_id):
    """That the order is paid is the better reason: a shop shows it to the buyer."""
    confirmed(house, order_id)
    second = house.begin(NONE_LEFT | TEES, order_id=order_id)

    assert house.seen(second).ended == "rejected order_already_paid"
