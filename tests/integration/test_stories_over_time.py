"""Receipts over several looks: what the gateway says changes between them, and time passes.

A single look is `test_every_cell.py`'s; here the danger is in what an earlier look has left behind.
"""

from datetime import timedelta

import pytest
from rich.console import Console
from structlog.testing import capture_logs

from confirmation.states import State
from tests.integration.cell_house import FINAL, NONE_LEFT, SUBMIT_IS_OVER, TERMS
from worker.duty.audit import Circumstances, audit

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
READY, PAID, IN_FLIGHT, FAILED, CANCELLED, NOBODY_DOCUMENTED = 2, 1, 4, -2, 20, 77


@pytest.fixture
def house(cell_house):
    return cell_house


def in_flight_since_before(house):
    """Somebody else, the buyer's browser for one, has asked for the approval."""
    return house.begin(status=IN_FLIGHT)


def in_flight_by_us(house):
    receipt_id = house.begin()
    house.sandbox.script("approve", "stuck_in_flight", receipt_id=receipt_id)
    return receipt_id


IN_FLIGHT_WAYS = pytest.mark.parametrize("begin", [in_flight_since_before, in_flight_by_us])


def submits(begin):
    return begin is in_flight_by_us


# In flight ------------------------------------------------------------------------------------------------------------


@IN_FLIGHT_WAYS
@pytest.mark.parametrize("then", [PAID, FAILED, CANCELLED])
def test_in_flight_is_waited_for_and_ends_as_the_gateway_says(house, begin, then):
    receipt_id = begin(house)
    house.look(receipt_id)
    for _ in range(2):
        house.wait(receipt_id)
        house.look_if_due(receipt_id)
    assert not house.standing(receipt_id).state.final
    assert house.standing(receipt_id).told == []

    house.sandbox.change(receipt_id, status=then)
    standing = house.until_it_rests(receipt_id)

    failed = "rejected declined" if submits(begin) else "rejected payment_failed"
    assert standing.ended == {PAID: "confirmed", FAILED: failed, CANCELLED: "rejected already_cancelled"}[then]
    assert house.account(receipt_id).calls["approve"] == submits(begin)
    assert standing.announced == [standing.state.value]
    assert standing.owns_order is (then == PAID)


@IN_FLIGHT_WAYS
def test_in_flight_that_falls_back_to_ready_is_submitted_in_the_end(house, begin):
    receipt_id = begin(house)
    house.look(receipt_id)
    house.let_pass(receipt_id, SUBMIT_IS_OVER)
    house.sandbox.change(receipt_id, status=READY)

    standing = house.until_it_rests(receipt_id)

    assert standing.ended == "confirmed"
    assert house.account(receipt_id).moved == [("charge", 3000)]


@IN_FLIGHT_WAYS
@pytest.mark.parametrize("then", [PAID, FAILED, CANCELLED, READY])
def test_in_flight_past_the_deadline_asks_people_and_ends_by_itself_once_the_gateway_has_a_word(house, begin, then):
    receipt_id = begin(house)
    house.look(receipt_id)
    house.let_pass(receipt_id, TERMS.deadline)
    asked = house.seen(receipt_id)
    assert asked.ended == "review gateway_unclear"
    assert asked.stock == ({"tee": "held"} if submits(begin) else {})
    house.wait(receipt_id)
    house.look_if_due(receipt_id)
    assert house.standing(receipt_id).announced == ["review"]

    house.sandbox.change(receipt_id, status=then)
    standing = house.until_it_rests(receipt_id, ends=FINAL)

    failed = "rejected declined" if submits(begin) else "rejected payment_failed"
    assert (
        standing.ended
        == {
            PAID: "confirmed",
            FAILED: failed,
            CANCELLED: "rejected already_cancelled",
            READY: "rejected deadline_exceeded",
        }[then]
    )
    assert standing.announced == ["review", standing.state.value]
    assert house.account(receipt_id).calls["approve"] == submits(begin)


# The deadline ---------------------------------------------------------------------------------------------------------


def test_no_wait_before_the_deadline_is_longer_than_ten_seconds_or_goes_past_it(house):
    receipt_id = house.begin(status=IN_FLIGHT)
    for _ in range(6):
        house.wait(receipt_id)
        house.look_if_due(receipt_id)
    assert 5 * SECOND < house.standing(receipt_id).wait <= 10 * SECOND

    row = house.standing(receipt_id).row
    house.let_pass(receipt_id, row["created_at"] + TERMS.deadline - row["updated_at"] - 2 * SECOND)
    house.look(receipt_id)

    row = house.standing(receipt_id).row
    past_it = row["due_at"] - row["created_at"] - TERMS.deadline
    assert timedelta() <= past_it < 4 * SECOND, "by no more than the commit took"
    house.wait(receipt_id)
    house.look_if_due(receipt_id)
    assert house.standing(receipt_id).ended == "review gateway_unclear"


def test_a_payment_that_is_first_looked_at_past_the_deadline_is_confirmed(house):
    """The deadline forbids submitting; it never decides."""
    receipt_id = house.begin(status=PAID)
    house.let_pass(receipt_id, TERMS.deadline * 2)

    assert house.seen(receipt_id).ended == "confirmed"


def test_what_was_reserved_before_the_deadline_is_not_submitted_after_it(house):
    receipt_id = house.begin()
    house.sandbox.script("approve", "no_answer", receipt_id=receipt_id)
    house.look(receipt_id)
    house.let_pass(receipt_id, TERMS.deadline)

    standing = house.until_it_rests(receipt_id)

    assert standing.ended == "rejected deadline_exceeded"
    assert standing.stock == {"tee": "released"}
    assert house.account(receipt_id).calls["approve"] == 1


# Review ends by itself ------------------------------------------------------------------------------------------------


def test_review_looks_again_with_waits_up_to_ten_minutes_and_tells_people_once(house):
    receipt_id = house.begin(status=NOBODY_DOCUMENTED)
    spans = []
    for _ in range(12):
        house.wait(receipt_id)
        house.look_if_due(receipt_id)
        spans.append(house.standing(receipt_id).wait)

    assert [round(span / SECOND) for span in spans] == sorted(round(span / SECOND) for span in spans)
    assert 5 * MINUTE < spans[-1] <= 10 * MINUTE
    assert house.standing(receipt_id).announced == ["review"]


def test_a_webhook_brings_the_look_forward(house):
    receipt_id = house.begin(status=NOBODY_DOCUMENTED)
    for _ in range(9):
        house.wait(receipt_id)
        house.look_if_due(receipt_id)
    assert house.standing(receipt_id).wait > MINUTE
    house.sandbox.change(receipt_id, status=PAID)

    assert house.ledger.ask(receipt_id)
    house.look_if_due(receipt_id)

    assert house.standing(receipt_id).ended == "confirmed"


@pytest.mark.parametrize(
    ("items", "then", "ends"),
    [
        (None, READY, "rejected deadline_exceeded"),
        (NONE_LEFT, PAID, "voided out_of_stock"),
        ({"nobody sells it": 1}, PAID, "voided unknown_sku"),
    ],
)
def test_review_from_received_ends_by_the_rules_of_received(house, items, then, ends):
    receipt_id = house.begin(items, status=NOBODY_DOCUMENTED)
    house.look(receipt_id)
    house.sandbox.change(receipt_id, status=then)
    house.let_pass(receipt_id, TERMS.deadline)

    assert house.until_it_rests(receipt_id, ends=FINAL).ended == ends


@pytest.mark.parametrize("then", [READY, FAILED])
def test_review_from_voiding_ends_as_nothing_taken_where_no_money_moved_after_all(house, then):
    receipt_id = house.begin(NONE_LEFT, status=PAID)
    house.sandbox.script("cancel", "no_answer", receipt_id=receipt_id)
    house.look(receipt_id)
    house.sandbox.change(receipt_id, status=NOBODY_DOCUMENTED)
    house.look(receipt_id)
    assert house.standing(receipt_id).state is State.REVIEW
    house.sandbox.change(receipt_id, status=then)

    standing = house.until_it_rests(receipt_id, ends=FINAL)

    assert standing.ended == "rejected out_of_stock"
    assert standing.announced == ["review", "rejected"]


# No word --------------------------------------------------------------------------------------------------------------


def test_a_token_that_ran_out_in_the_middle_is_renewed_inside_the_call(house):
    receipt_id = house.begin()
    gateway = house.client()
    gateway.look_up(receipt_id, start_by=float("inf"))
    house.sandbox.advance(31 * 60)
    tokens = house.sandbox.ledger()["totals"]["calls"]["token"]

    house.look(receipt_id, gateway)

    standing = house.standing(receipt_id)
    assert (standing.ended, standing.decided) == ("confirmed", ["reserve", "commit"])
    assert house.sandbox.ledger()["totals"]["calls"]["token"] == tokens + 1


@pytest.mark.parametrize("keys", [{"application_id": "of-nobody"}, {"private_key": "of-another"}], ids=str)
@pytest.mark.parametrize("at", ["received", "submitting", "voiding", "rejected"])
def test_wrong_keys_park_the_receipt_and_raise_an_alarm_and_reject_no_buyer(house, keys, at):
    receipt_id, after_a_while = AT[at](house)
    before = house.standing(receipt_id)
    wrong = house.client(**keys)

    with capture_logs() as logs:
        for _ in range(3):
            house.look(receipt_id, wrong)

    parked = house.standing(receipt_id)
    assert (parked.ended, parked.told, parked.stock) == (before.ended, before.told, before.stock)
    assert parked.wait is not None
    alarms = [log for log in logs if log["event"] == "gateway.refuses_our_keys"]
    assert [alarm["log_level"] for alarm in alarms] == ["error"], "once a minute is enough"
    assert "401" in alarms[0]["why"]
    assert not any(key in str(logs) for key in keys.values())

    house.let_pass(receipt_id, after_a_while)
    asked = house.seen(receipt_id, wrong)
    assert asked.ended == ("review gateway_unclear" if at != "rejected" else before.ended)

    standing = house.until_it_rests(receipt_id, ends=FINAL)
    assert standing.ended == {
        "received": "confirmed", "submitting": "confirmed", "voiding": "voided out_of_stock",
        "rejected": "voided late_approval",
    }[at]  # fmt: skip


def test_wrong_basic_keys_park_the_receipt_too(cell_houses):
    """Only v2 has them."""
    house = cell_houses["v2"]
    receipt_id = house.begin()
    keys = {"client_key": "sandbox-client", "secret_key": "of-another"}

    with capture_logs() as logs:
        house.look(receipt_id, house.client(**keys))

    assert house.standing(receipt_id).state is State.RECEIVED
    assert [log["event"] for log in logs] == ["gateway.refuses_our_keys"]
    assert "of-another" not in str(logs)
    assert house.until_it_rests(receipt_id).ended == "confirmed"


def _received(house):
    return house.begin(status=PAID), TERMS.deadline


def _submitting(house):
    receipt_id = house.begin()
    house.sandbox.script("approve", "no_answer", receipt_id=receipt_id)
    house.look(receipt_id)
    house.sandbox.change(receipt_id, status=PAID)
    return receipt_id, TERMS.deadline


def _voiding(house):
    receipt_id = house.begin(NONE_LEFT, status=PAID)
    house.sandbox.script("cancel", "no_answer", receipt_id=receipt_id)
    house.look(receipt_id)
    return receipt_id, timedelta(hours=24)


def _rejected(house):
    receipt_id = house.begin(NONE_LEFT)
    house.look(receipt_id)
    house.sandbox.change(receipt_id, status=PAID)
    return receipt_id, timedelta(hours=3)


AT = {"received": _received, "submitting": _submitting, "voiding": _voiding, "rejected": _rejected}


@pytest.mark.parametrize("call", ["receipt", "approve"])
def test_a_429_parks_the_receipt_which_is_confirmed_afterwards(house, call):
    receipt_id = house.begin()
    house.sandbox.script(call, "http_429", receipt_id=receipt_id, seconds=7)

    house.look(receipt_id)

    parked = house.standing(receipt_id)
    assert parked.state is (State.RECEIVED if call == "receipt" else State.SUBMITTING)
    assert (parked.told, parked.wait is None) == ([], False)
    assert "429" in next(step.seen for step in parked.steps if step.seen.startswith("no word"))
    assert house.until_it_rests(receipt_id).ended == "confirmed"
    assert house.account(receipt_id).moved == [("charge", 3000)]


def test_a_200_that_is_not_paid_is_looked_up_and_confirmed_once_it_is(house):
    """The approval had been taken after all, only its answer came too early."""
    receipt_id = house.begin()
    house.sandbox.script("approve", "not_paid_200", receipt_id=receipt_id, status=IN_FLIGHT)
    house.look(receipt_id)
    assert house.standing(receipt_id).state is State.SUBMITTING
    house.sandbox.change(receipt_id, status=PAID)

    standing = house.until_it_rests(receipt_id)

    assert standing.ended == "confirmed"
    assert house.account(receipt_id).calls["approve"] == 1


# And after all of it --------------------------------------------------------------------------------------------------


def test_everything_that_these_receipts_have_left_adds_up(house, quiet_console):
    """Whatever was tried out on this database before, in whatever order. No relay runs here, so all is late."""
    house.look(house.begin())
    house.put_everything_off()

    given = Circumstances(deadline=timedelta(days=30))
    assert audit(house.engine, None, quiet_console, given).findings.listed == []


@pytest.fixture
def quiet_console():
    return Console(stderr=True)
