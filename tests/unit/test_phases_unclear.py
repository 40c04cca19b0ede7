"""The pipeline over a gateway whose answers leave open what happened."""

import pytest

from confirmation.answers import Refused, Silence
from confirmation.states import Reason, State
from sandbox.twins import Fault
from tests.unit.twin_shop import BROKEN, TIMEOUT, voiding

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


def test_a_status_that_nobody_documented_is_named_to_the_people_who_are_asked(shop):
    shop.receipt.status = 77

    shop.deliver()

    assert shop.row.state is State.REVIEW
    assert shop.row.message == "a number nobody documented (status 77)"
    assert [step.seen for step in shop.store.steps["r1"]] == ["a number nobody documented (status 77)"]


def test_a_status_with_more_digits_than_any_is_not_repeated(shop):
    shop.receipt.status = 10**4000

    shop.deliver()

    assert shop.row.message == "a number nobody documented (status of many digits)"


def test_what_nobody_documented_is_no_word_about_a_decline_that_comes_later(shop):
    shop.gateway.tell("r1", "submit", Fault(TIMEOUT, acts=False))
    shop.gateway.tell("r1", "look_up", Fault(), Fault(shop.receipt.seen(77)))
    shop.deliver()
    assert shop.row.message == "a number nobody documented (status 77)"

    shop.receipt.status = -2

    assert (shop.settle().reason, shop.row.message) == (Reason.DECLINED, "")


def test_what_nobody_documented_is_forgotten_once_the_money_is_back(shop):
    voiding(shop)
    shop.gateway.tell("r1", "look_up", Fault(), Fault(shop.receipt.seen(77)))
    shop.deliver()
    assert shop.row.message == "a number nobody documented (status 77)"

    shop.receipt.cancel_elsewhere(whole=True)

    assert (shop.settle().state, shop.row.message) == (State.VOIDED, "")
