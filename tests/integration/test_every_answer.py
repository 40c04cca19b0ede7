"""Whatever a submit or a cancel is answered: only the gateway's receipt decides, and money moves once.

Each line says how often the gateway is asked until the receipt rests, and how it rests. The gateway's ledger is what it
is judged by, whatever was answered.
"""

from datetime import timedelta
from typing import Any, NamedTuple

import pytest

from confirmation.states import State
from tests.integration.cell_house import NONE_LEFT, TERMS

SECOND = timedelta(seconds=1)
#: The time of a call that isn't answered in it.
HURRIED_SECONDS = 0.2


@pytest.fixture
def house(cell_house):
    return cell_house


class Line(NamedTuple):
    """What is answered, and what comes of it: in v1 and, where that differs, in v2."""

    name: str
    fault: str
    more: dict[str, Any]
    #: How it ends, and how often the call had to be made for it.
    ends: str
    calls: int
    ends_in_v2: str | None = None
    calls_in_v2: int | None = None

    def of(self, api):
        if api == "v2":
            return self.ends_in_v2 or self.ends, self.calls if self.calls_in_v2 is None else self.calls_in_v2
        return self.ends, self.calls


def line(name, fault, ends, calls, v2=None, **more):
    """A line; `times` is how often the fault strikes, 0 for ever."""
    return Line(name, fault, more, ends, calls, *(v2 or (None, None)))


# Submits --------------------------------------------------------------------------------------------------------------

CONFIRMED, DECLINED, ASKED = "confirmed", "rejected declined", "review gateway_unclear"

SUBMITS = [
    line("declined", "decline", DECLINED, 1),
    line("declined once, still ready", "decline_stays_ready", CONFIRMED, 2, v2=(DECLINED, 1)),
    line("declined twice alike, still ready", "decline_stays_ready", DECLINED, 2, v2=(DECLINED, 1), times=0),
    line("a 200 that says ready", "not_paid_200", CONFIRMED, 2),
    line("a 200 that says in flight", "not_paid_200", CONFIRMED, 2, status=4),
    line("a 200 that says failed", "not_paid_200", CONFIRMED, 2, status=-2),
    line("a 200 that says cancelled", "not_paid_200", CONFIRMED, 2, status=20),
    line("a 200 that says what nobody documented", "not_paid_200", CONFIRMED, 2, status=77),
    line("a 200 that is never paid", "not_paid_200", ASKED, 3, times=0),
    line("paid, with another amount", "wrong_amount", CONFIRMED, 1),
    line("paid, shown as ready", "status", CONFIRMED, 1),
    line("paid, shown as what nobody documented", "status", CONFIRMED, 1, status=77),
    line("paid, and the answer lost", "lost_answer", CONFIRMED, 1),
    line("not paid, and no answer", "no_answer", CONFIRMED, 2),
    line("never an answer", "no_answer", ASKED, 3, times=0),
    line("paid, and half an answer", "half_json", CONFIRMED, 1),
    line("not paid, and half an answer", "half_json", CONFIRMED, 2, acts=False),
    line("paid, and no JSON", "not_json", CONFIRMED, 1),
    line("paid, and far too much of it", "huge_body", CONFIRMED, 1),
    line("a 500, paid", "http_500", CONFIRMED, 1, acts=True),
    line("a 500, not paid", "http_500", CONFIRMED, 2),
    line("the same 500 twice, not paid", "http_500", DECLINED, 2, v2=(CONFIRMED, 3), times=2),
    line("a 500 for ever", "http_500", DECLINED, 2, v2=(ASKED, 3), times=0),
    line("a proxy's 502, paid", "http_502_html", CONFIRMED, 1, acts=True),
    line("a proxy's 502, not paid", "http_502_html", CONFIRMED, 2),
    line("a proxy's 502 for ever", "http_502_html", ASKED, 3, times=0),
    line("a 401", "http_401", CONFIRMED, 2),
    line("a 401 for ever", "http_401", ASKED, 6, times=0),
    line("a 429", "http_429", CONFIRMED, 2, seconds=7),
    line("a 429 for ever", "http_429", ASKED, 3, times=0),
    line("a 404", "not_found", CONFIRMED, 2),
]


@pytest.mark.parametrize("answered", SUBMITS, ids=lambda answered: answered.name)
def test_money_moves_once_at_most_whatever_a_submit_is_answered(house, answered):
    ends, calls = answered.of(house.api)
    receipt_id = house.begin()
    house.sandbox.script("approve", answered.fault, receipt_id=receipt_id, **answered.more)

    standing = house.until_it_rests(receipt_id)

    account = house.account(receipt_id)
    assert standing.ended == ends
    assert account.calls["approve"] == calls
    assert account.moved == [("charge", 3000)] * (ends == CONFIRMED)
    assert standing.announced == [ends.split()[0]]
    held = {CONFIRMED: "sold", DECLINED: "released", ASKED: "held"}[ends]
    assert standing.stock == {"tee": held}
    assert standing.owns_order is (ends != DECLINED)
    assert account.calls["receipt"] >= (1 if answered.name == "a 401" else 2), "only a clear yes is believed at once"
    if ends == DECLINED:
        assert standing.row["message"]


def test_a_submit_that_is_answered_in_full_is_not_looked_up(house):
    """The way that goes well: one look-up, one submit."""
    receipt_id = house.begin()

    standing = house.seen(receipt_id)

    assert standing.state is State.CONFIRMED
    assert house.account(receipt_id).calls | {"token": 0} == calls(receipt=1, approve=1)


def calls(**made):
    return {"token": 0, "receipt": 0, "approve": 0, "cancel": 0, "lookup": 0} | made


def test_a_401_in_the_middle_renews_the_token_and_makes_the_same_call_in_the_same_lease(house):
    receipt_id = house.begin()
    house.sandbox.script("approve", "http_401", receipt_id=receipt_id)
    tokens = house.sandbox.ledger()["totals"]["calls"]["token"]

    standing = house.seen(receipt_id)

    assert standing.state is State.CONFIRMED
    assert standing.decided == ["reserve", "commit"]
    assert house.account(receipt_id).calls["approve"] == 2
    assert house.sandbox.ledger()["totals"]["calls"]["token"] == tokens + 1


def test_a_submit_whose_time_is_up_may_still_be_at_work(house):
    receipt_id = house.begin()
    house.sandbox.script("approve", "hang", receipt_id=receipt_id, seconds=1, acts=False)

    house.look(receipt_id, house.hurried(HURRIED_SECONDS))

    standing = house.standing(receipt_id)
    assert standing.state is State.SUBMITTING
    assert standing.row["submitted_until"] - standing.row["updated_at"] > 10 * SECOND


#: So many seconds later it is looked at, and so many approvals were asked for by then. One that was answered has ended,
#: and the look right after it may be the first of the two; one that wasn't may be at work until its lease is over.
LATER = {
    "not_paid_200": [(2, 1), (4, 2)],
    "no_answer": [(TERMS.submit_lease_seconds - 5, 1), (6, 1), (2, 1), (2, 2)],
}


@pytest.mark.parametrize("fault", LATER)
def test_nothing_is_submitted_again_before_two_looks_after_the_last_one_can_have_ended(house, fault):
    receipt_id = house.begin()
    house.sandbox.script("approve", fault, receipt_id=receipt_id)
    house.look(receipt_id)

    for seconds, approvals in LATER[fault]:
        house.let_pass(receipt_id, seconds * SECOND)
        house.look(receipt_id)
        assert house.account(receipt_id).calls["approve"] == approvals

    assert house.standing(receipt_id).state is State.CONFIRMED


def test_another_amount_in_the_answer_and_in_the_look_up_sends_the_money_back(house):
    receipt_id = house.begin()
    for call in ("approve", "receipt"):
        if call == "receipt":
            house.sandbox.script(call, "wrong_amount", receipt_id=receipt_id, amount=3000)  # the first look is right
        house.sandbox.script(call, "wrong_amount", receipt_id=receipt_id, times=0, amount=4000)

    standing = house.until_it_rests(receipt_id)

    assert standing.ended == "voided amount_mismatch"
    assert house.account(receipt_id).moved == [("charge", 3000), ("cancel", 3000)]
    assert standing.stock == {"tee": "released"}
    assert standing.announced == ["voided"]


# Cancels --------------------------------------------------------------------------------------------------------------

VOIDED, STUCK = "voided out_of_stock", "review cancel_failed"

CANCELS = [
    line("done", "status", VOIDED, 1, status=20),
    line("done, and the answer lost", "lost_answer", VOIDED, 1),
    line("not done, and no answer", "no_answer", VOIDED, 2),
    line("not done, and no answer three times", "no_answer", VOIDED, 4, times=3),
    line("done, and half an answer", "half_json", VOIDED, 1),
    line("done, and no JSON", "not_json", VOIDED, 1),
    line("done, and far too much of it", "huge_body", VOIDED, 1),
    line("done, with another amount", "wrong_amount", VOIDED, 1),
    line("refused once", "cancel_refused", VOIDED, 2),
    line("refused three times", "cancel_refused", VOIDED, 4, times=3),
    line("a 500, done", "http_500", VOIDED, 1, acts=True),
    line("a 500, not done", "http_500", VOIDED, 2),
    line("a proxy's 502, done", "http_502_html", VOIDED, 1, acts=True),
    line("a proxy's 502, not done", "http_502_html", VOIDED, 2),
    line("a 401", "http_401", VOIDED, 2),
    line("a 429", "http_429", VOIDED, 2, seconds=7),
    line("a 404", "not_found", VOIDED, 2),
    line("already cancelled", "already_cancelled", VOIDED, 1),
]
#: These say that the money is back, or that it is not known to be with us, though no cancel of ours took it back.
NOT_OURS = {"already cancelled"}


@pytest.mark.parametrize("answered", CANCELS, ids=lambda answered: answered.name)
def test_money_goes_back_once_whatever_a_cancel_is_answered(house, answered):
    ends, expected_calls = answered.of(house.api)
    receipt_id = house.begin(NONE_LEFT, status=1)
    house.sandbox.script("cancel", answered.fault, receipt_id=receipt_id, **answered.more)

    standing = house.until_it_rests(receipt_id)

    account = house.account(receipt_id)
    assert standing.ended == ends
    assert account.calls["cancel"] == expected_calls
    assert account.moved == [("cancel", 3000)] * (answered.name not in NOT_OURS)
    assert standing.announced == ["voided"]
    assert standing.stock == {}
    assert not standing.owns_order


def cancel_ids(standing, receipt_id):
    """The ids under which its cancels were sent, from its story."""
    return [step.detail.removeprefix(f"{receipt_id}-") for step in standing.steps if step.decided == "cancel"]


@pytest.mark.parametrize(
    ("fault", "numbers_in_v1", "numbers_in_v2"),
    [
        ("no_answer", "111", "111"),
        ("http_502_html", "111", "111"),
        ("http_429", "111", "111"),
        ("cancel_refused", "123", "123"),
        ("http_500", "123", "111"),
    ],
)
def test_the_cancels_number_grows_only_after_an_explicit_refusal(house, fault, numbers_in_v1, numbers_in_v2):
    """A new id after no word could be a second cancel. A 500 is a refusal in v1, which has no other; not in v2."""
    receipt_id = house.begin(NONE_LEFT, status=1)
    house.sandbox.script("cancel", fault, receipt_id=receipt_id, times=2)

    standing = house.until_it_rests(receipt_id)

    assert "".join(cancel_ids(standing, receipt_id)) == (numbers_in_v1 if house.api == "v1" else numbers_in_v2)


def test_the_number_stays_where_the_refusal_is_followed_by_a_look_that_shows_something_cancelled(house):
    receipt_id = house.begin(NONE_LEFT, status=1)
    house.sandbox.script("cancel", "cancel_refused", receipt_id=receipt_id)
    house.look(receipt_id)
    house.sandbox.change(receipt_id, cancelled_price=1000)

    standing = house.until_it_rests(receipt_id)

    assert standing.state is State.VOIDED
    assert cancel_ids(standing, receipt_id) == ["1", "1"]
    assert house.account(receipt_id).moved == [("cancel", 2000)]


def test_no_price_is_sent_so_all_that_remains_goes_back(house):
    receipt_id = house.begin(NONE_LEFT, status=1)
    house.sandbox.script("cancel", "no_answer", receipt_id=receipt_id)
    house.look(receipt_id)
    house.sandbox.change(receipt_id, cancelled_price=1000)

    house.until_it_rests(receipt_id)

    assert house.account(receipt_id).moved == [("cancel", 2000)]


def test_a_cancel_under_way_is_waited_for_and_one_that_then_fails_is_tried_once_more(cell_houses):
    """Only v1 shows a cancel on its way."""
    house = cell_houses["v1"]
    receipt_id = house.begin(NONE_LEFT, status=1)
    house.sandbox.script("cancel", "cancel_in_progress", receipt_id=receipt_id)
    house.look(receipt_id)
    for _ in range(3):
        house.wait(receipt_id)
        house.look_if_due(receipt_id)
    assert house.standing(receipt_id).state is State.VOIDING
    assert house.account(receipt_id).calls["cancel"] == 1

    house.sandbox.change(receipt_id, status=-20)
    standing = house.until_it_rests(receipt_id)

    assert standing.ended == "voided out_of_stock"
    assert cancel_ids(standing, receipt_id) == ["1", "2"]


def test_a_cancel_under_way_that_is_done_ends_it(house):
    receipt_id = house.begin(NONE_LEFT, status=1)
    house.sandbox.script("cancel", "cancel_in_progress", receipt_id=receipt_id)
    house.look(receipt_id)
    house.sandbox.change(receipt_id, status=20)

    standing = house.until_it_rests(receipt_id)

    assert standing.ended == "voided out_of_stock"
    assert house.account(receipt_id).calls["cancel"] == 1


def test_a_day_of_refusals_asks_people_and_the_money_goes_back_when_it_can(house):
    receipt_id = house.begin(NONE_LEFT, status=1)
    house.sandbox.script("cancel", "cancel_refused", receipt_id=receipt_id, times=3)
    house.look(receipt_id)
    house.let_pass(receipt_id, timedelta(hours=23))
    assert house.seen(receipt_id).state is State.VOIDING

    house.let_pass(receipt_id, timedelta(hours=1))
    asked = house.seen(receipt_id)
    assert asked.ended == STUCK
    house.look(receipt_id)
    assert house.standing(receipt_id).ended == asked.ended

    standing = house.seen(receipt_id)

    assert standing.ended == "voided out_of_stock"
    assert standing.announced == ["review", "voided"]
    assert cancel_ids(standing, receipt_id) == ["1", "2", "3", "4"]
    assert house.account(receipt_id).moved == [("cancel", 3000)]
