"""Receipts over several looks: what the gateway says changes between them, and time passes.

A single look is `test_every_cell.py`'s; here the danger is in what an earlier look has left behind.
"""

from datetime import timedelta

import pytest
from rich.console import Console
from structlog.testing import capture_logs

from confirmation import waits
from confirmation.states import State
from tests.integration.cell_house import FINAL, NONE_LEFT, SUBMIT_IS_OVER, TERMS
from worker.duty.audit import audit

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
READY, PAID, IN_FLIGHT, FAILED, CANCELLED, NOBODY_DOCUMENTED = 2, 1, 4, -2, 20, 77


@pytest.fixture
def house(cell_house):
    return cell_house


def ended(standing):
    return " ".join(filter(None, standing.ended_as))


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
    assert ended(standing) == {PAID: "confirmed", FAILED: failed, CANCELLED: "rejected already_cancelled"}[then]
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

    assert ended(standing) == "confirmed"
    assert house.account(receipt_id).moved == [("charge", 3000)]


@IN_FLIGHT_WAYS
@pytest.mark.parametrize("then", [PAID, FAILED, CANCELLED, READY])
def test_in_flight_past_the_deadline_asks_people_and_ends_by_itself_once_the_gateway_has_a_word(house, begin, then):
    receipt_id = begin(house)
    house.look(receipt_id)
    house.let_pass(receipt_id, TERMS.deadline)
    asked = house.seen(receipt_id)
    assert ended(asked) == "review gateway_unclear"
    assert asked.stock == ({"tee": "held"} if submits(begin) else {})
    house.wait(receipt_id)
    house.look_if_due(receipt_id)
    assert house.standing(receipt_id).announced == ["review"]

    house.sandbox.change(receipt_id, status=then)
    standing = house.until_it_rests(receipt_id, ends=FINAL)

    failed = "rejected declined" if submits(begin) else "rejected payment_failed"
    assert (
        ended(standing)
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
    assert ended(house.standing(receipt_id)) == "review gateway_unclear"


def test_a_payment_that_is_first_looked_at_past_the_deadline_is_confirmed(house):
    """The deadline forbids submitting; it never decides."""
    receipt_id = house.begin(status=PAID)
    house.let_pass(receipt_id, TERMS.deadline * 2)

    assert ended(house.seen(receipt_id)) == "confirmed"


def test_what_was_reserved_before_the_deadline_is_not_submitted_after_it(house):
    receipt_id = house.begin()
    house.sandbox.script("approve", "no_answer", receipt_id=receipt_id)
    house.look(receipt_id)
    house.let_pass(receipt_id, TERMS.deadline)

    standing = house.until_it_rests(receipt_id)

    assert ended(standing) == "rejected deadline_exceeded"
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

    assert ended(house.standing(receipt_id)) == "confirmed"


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

    assert ended(house.until_it_rests(receipt_id, ends=FINAL)) == ends


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

    assert ended(standing) == "rejected out_of_stock"
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
    assert (ended(standing), standing.decided) == ("confirmed", ["reserve", "commit"])
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
    assert (parked.ended_as, parked.told, parked.stock) == (before.ended_as, before.told, before.stock)
    assert parked.wait is not None
    alarms = [log for log in logs if log["event"] == "gateway.refuses_our_keys"]
    assert [alarm["log_level"] for alarm in alarms] == ["error"], "once a minute is enough"
    assert "401" in alarms[0]["why"]
    assert not any(key in str(logs) for key in keys.values())

    house.let_pass(receipt_id, after_a_while)
    asked = house.seen(receipt_id, wrong)
    assert ended(asked) == ("review gateway_unclear" if at != "rejected" else ended(before))

    standing = house.until_it_rests(receipt_id, ends=FINAL)
    assert ended(standing) == {
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
    assert ended(house.until_it_rests(receipt_id)) == "confirmed"


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
    return receipt_id, waits.TRY_TO_CANCEL


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
    assert ended(house.until_it_rests(receipt_id)) == "confirmed"
    assert house.account(receipt_id).moved == [("charge", 3000)]


def test_a_200_that_is_not_paid_is_looked_up_and_confirmed_once_it_is(house):
    """The approval had been taken after all, only its answer came too early."""
    receipt_id = house.begin()
    house.sandbox.script("approve", "not_paid_200", receipt_id=receipt_id, status=IN_FLIGHT)
    house.look(receipt_id)
    assert house.standing(receipt_id).state is State.SUBMITTING
    house.sandbox.change(receipt_id, status=PAID)

    standing = house.until_it_rests(receipt_id)

    assert ended(standing) == "confirmed"
    assert house.account(receipt_id).calls["approve"] == 1


# Late looks -----------------------------------------------------------------------------------------------------------


def turned_away(house):
    """Rejected for what may yet change: there was none left, and the receipt is still ready."""
    receipt_id = house.begin(NONE_LEFT)
    house.look(receipt_id)
    assert ended(house.standing(receipt_id)) == "rejected out_of_stock"
    return receipt_id


def test_a_rejection_is_looked_at_after_one_ten_and_sixty_minutes_and_then_no_more(house):
    receipt_id = turned_away(house)
    rejected = house.standing(receipt_id)
    since = []
    while (standing := house.standing(receipt_id)).wait is not None:
        since.append(round((standing.row["due_at"] - standing.row["state_since"]) / MINUTE))
        house.wait(receipt_id)
        house.look_if_due(receipt_id)

    assert since == [1, 10, 60]
    assert (standing.ended_as, standing.told) == (rejected.ended_as, rejected.told)


def test_a_late_look_without_a_word_does_not_count(house):
    receipt_id = turned_away(house)
    house.sandbox.script("receipt", "http_502_html", receipt_id=receipt_id, times=0)

    for _ in range(6):
        house.wait(receipt_id)
        house.look_if_due(receipt_id)

    assert house.standing(receipt_id).wait is not None


@pytest.mark.parametrize("after", [timedelta(seconds=5), timedelta(minutes=5), timedelta(hours=2), timedelta(days=400)])
def test_a_webhook_has_a_rejection_looked_at_for_ever(house, after):
    receipt_id = turned_away(house)
    for _ in range(3):
        if after > timedelta(hours=1):
            house.wait(receipt_id)
            house.look_if_due(receipt_id)
    house.let_pass(receipt_id, after)
    house.sandbox.change(receipt_id, status=PAID)

    standing = house.seen(receipt_id)

    assert ended(standing) == "voided late_approval"
    assert standing.announced == ["rejected", "voided"]
    assert house.account(receipt_id).kept == 0


def test_a_webhook_between_two_late_looks_puts_none_of_them_off(house):
    receipt_id = turned_away(house)
    house.let_pass(receipt_id, 30 * SECOND)
    house.look(receipt_id)

    row = house.standing(receipt_id).row

    assert abs(row["due_at"] - row["state_since"] - MINUTE) < 10 * SECOND


# A virtual account ----------------------------------------------------------------------------------------------------


def test_a_deposit_that_arrives_after_we_said_no_is_a_case_for_people(house):
    """Only the buyer's own account can be refunded, and nobody but people can ask for that."""
    receipt_id = house.begin(method="vbank")
    house.look(receipt_id)
    assert ended(house.standing(receipt_id)) == "rejected awaiting_deposit"
    house.wait(receipt_id)
    house.look_if_due(receipt_id)
    assert ended(house.standing(receipt_id)) == "rejected awaiting_deposit"

    house.sandbox.change(receipt_id, status=PAID)
    standing = house.seen(receipt_id)

    assert ended(standing) == "review virtual_account_refund"
    assert standing.decided[-2:] == ["void: late_approval", "review: virtual_account_refund"]
    assert standing.announced == ["rejected", "review"]
    assert house.account(receipt_id).calls["cancel"] == 0

    house.look(receipt_id)
    assert ended(house.standing(receipt_id)) == "review virtual_account_refund"

    house.sandbox.change(receipt_id, status=CANCELLED)  # a person has sent it back
    standing = house.seen(receipt_id)

    assert ended(standing) == "voided late_approval"
    assert standing.announced == ["rejected", "review", "voided"]


def test_a_deposit_after_all_late_looks_is_found_by_its_webhook(house):
    receipt_id = house.begin(method="vbank")
    house.look(receipt_id)
    while house.standing(receipt_id).wait is not None:
        house.wait(receipt_id)
        house.look_if_due(receipt_id)
    house.let_pass(receipt_id, timedelta(days=3))
    house.sandbox.change(receipt_id, status=PAID)

    assert ended(house.seen(receipt_id)) == "review virtual_account_refund"


def test_a_deposit_that_arrives_before_we_look_is_a_payment(house):
    receipt_id = house.begin(method="vbank", status=PAID)

    standing = house.seen(receipt_id)

    assert ended(standing) == "confirmed"
    assert house.account(receipt_id).calls["approve"] == 0


def test_an_account_whose_deposit_never_came_ends_for_good(house):
    receipt_id = house.begin(method="vbank")
    house.look(receipt_id)
    house.sandbox.change(receipt_id, status=-3)

    standing = house.seen(receipt_id)

    assert (ended(standing), standing.wait) == ("rejected awaiting_deposit", None)
    assert standing.announced == ["rejected"]


# Another order's receipt ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [PAID, READY, IN_FLIGHT, CANCELLED, FAILED])
def test_another_orders_money_is_never_touched(house, status):
    """Whatever is rejected as another's is looked at as often as anybody asks, and nothing comes of it."""
    receipt_id = house.begin(status=status)
    house.sandbox.change(receipt_id, order_id=f"another-{receipt_id}")
    before = house.account(receipt_id)

    house.look(receipt_id)
    rejected = house.standing(receipt_id)
    assert (ended(rejected), rejected.wait, rejected.stock) == ("rejected order_mismatch", None, {})
    for later in (status, PAID, PAID):
        house.sandbox.change(receipt_id, status=later)
        house.look(receipt_id)

    after = house.account(receipt_id)
    assert (after.calls["approve"], after.calls["cancel"], after.moved) == (0, 0, before.moved)
    assert after.kept == (0 if status == CANCELLED else 3000)
    standing = house.standing(receipt_id)
    assert (standing.ended_as, standing.told) == (rejected.ended_as, rejected.told)


def test_a_receipt_that_turns_out_to_be_anothers_after_its_submit_is_left_to_people(house):
    receipt_id = house.begin()
    house.sandbox.script("approve", "lost_answer", receipt_id=receipt_id)
    house.sandbox.script("receipt", "status", receipt_id=receipt_id, status=READY)
    house.sandbox.script("receipt", "status", receipt_id=receipt_id, status=IN_FLIGHT if house.api == "v2" else 3)
    house.look(receipt_id)
    house.sandbox.change(receipt_id, order_id=f"another-{receipt_id}")

    standing = house.seen(receipt_id)

    assert (ended(standing), standing.stock) == ("review order_mismatch", {"tee": "held"})
    assert house.account(receipt_id).calls["cancel"] == 0


# Drift ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cancelled", [1000, 3000])
def test_a_cancel_of_what_was_confirmed_is_told_once_however_it_is_looked_at(house, cancelled):
    receipt_id = house.begin()
    house.look(receipt_id)
    confirmed = house.standing(receipt_id)
    house.sandbox.change(receipt_id, cancelled_price=cancelled)
    house.look(receipt_id)
    drifted = house.standing(receipt_id)
    assert drifted.announced == ["confirmed", "drift"]

    for fault in (None, "http_502_html", None):
        if fault:
            house.sandbox.script("receipt", fault, receipt_id=receipt_id)
        house.look(receipt_id)

    standing = house.standing(receipt_id)
    assert standing.told == drifted.told
    assert (standing.ended_as, standing.stock, standing.wait) == (confirmed.ended_as, confirmed.stock, None)
    assert standing.owns_order
    assert (house.account(receipt_id).calls["approve"], house.account(receipt_id).calls["cancel"]) == (1, 0)


def test_a_look_at_what_was_confirmed_that_got_no_word_is_made_again(house):
    receipt_id = house.begin()
    house.look(receipt_id)
    house.sandbox.change(receipt_id, status=CANCELLED)
    house.sandbox.script("receipt", "http_502_html", receipt_id=receipt_id)
    house.look(receipt_id)
    assert house.standing(receipt_id).announced == ["confirmed"]

    house.wait(receipt_id)
    house.look_if_due(receipt_id)

    assert house.standing(receipt_id).announced == ["confirmed", "drift"]


# And after all of it --------------------------------------------------------------------------------------------------


def test_everything_that_these_receipts_have_left_adds_up(house, quiet_console):
    """Whatever was tried out on this database before, in whatever order. No relay runs here, so that all is overdue."""
    house.look(house.begin())
    house.put_everything_off()

    assert audit(house.engine, None, quiet_console).findings.listed == []


@pytest.fixture
def quiet_console():
    return Console(stderr=True)
