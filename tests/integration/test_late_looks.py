"""What comes after an end: a rejection that a late look finds paid, a deposit, a cancel of what was confirmed.

And what never comes: another order's money is not touched, however often anybody asks.
"""

from datetime import timedelta

import pytest

from tests.integration.cell_house import NONE_LEFT

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
READY, PAID, IN_FLIGHT, FAILED, CANCELLED = 2, 1, 4, -2, 20


@pytest.fixture
def house(cell_house):
    return cell_house


# Late looks -----------------------------------------------------------------------------------------------------------


def turned_away(house):
    """Rejected for what may yet change: there was none left, and the receipt is still ready."""
    receipt_id = house.begin(NONE_LEFT)
    house.look(receipt_id)
    assert house.standing(receipt_id).ended == "rejected out_of_stock"
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
    assert (standing.ended, standing.told) == (rejected.ended, rejected.told)


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

    assert standing.ended == "voided late_approval"
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
    assert house.standing(receipt_id).ended == "rejected awaiting_deposit"
    house.wait(receipt_id)
    house.look_if_due(receipt_id)
    assert house.standing(receipt_id).ended == "rejected awaiting_deposit"

    house.sandbox.change(receipt_id, status=PAID)
    standing = house.seen(receipt_id)

    assert standing.ended == "review virtual_account_refund"
    assert standing.decided[-2:] == ["void: late_approval", "review: virtual_account_refund"]
    assert standing.announced == ["rejected", "review"]
    assert house.account(receipt_id).calls["cancel"] == 0

    house.look(receipt_id)
    assert house.standing(receipt_id).ended == "review virtual_account_refund"

    house.sandbox.change(receipt_id, status=CANCELLED)  # a person has sent it back
    standing = house.seen(receipt_id)

    assert standing.ended == "voided late_approval"
    assert standing.announced == ["rejected", "review", "voided"]


def test_a_deposit_after_all_late_looks_is_found_by_its_webhook(house):
    receipt_id = house.begin(method="vbank")
    house.look(receipt_id)
    while house.standing(receipt_id).wait is not None:
        house.wait(receipt_id)
        house.look_if_due(receipt_id)
    house.let_pass(receipt_id, timedelta(days=3))
    house.sandbox.change(receipt_id, status=PAID)

    assert house.seen(receipt_id).ended == "review virtual_account_refund"


def test_a_deposit_that_arrives_before_we_look_is_a_payment(house):
    receipt_id = house.begin(method="vbank", status=PAID)

    standing = house.seen(receipt_id)

    assert standing.ended == "confirmed"
    assert house.account(receipt_id).calls["approve"] == 0


def test_an_account_whose_deposit_never_came_ends_for_good(house):
    receipt_id = house.begin(method="vbank")
    house.look(receipt_id)
    house.sandbox.change(receipt_id, status=-3)

    standing = house.seen(receipt_id)

    assert (standing.ended, standing.wait) == ("rejected awaiting_deposit", None)
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
    assert (rejected.ended, rejected.wait, rejected.stock) == ("rejected order_mismatch", None, {})
    for later in (status, PAID, PAID):
        house.sandbox.change(receipt_id, status=later)
        house.look(receipt_id)

    after = house.account(receipt_id)
    assert (after.calls["approve"], after.calls["cancel"], after.moved) == (0, 0, before.moved)
    assert after.kept == (0 if status == CANCELLED else 3000)
    standing = house.standing(receipt_id)
    assert (standing.ended, standing.told) == (rejected.ended, rejected.told)


def test_a_receipt_that_turns_out_to_be_anothers_after_its_submit_is_left_to_people(house):
    receipt_id = house.begin()
    house.sandbox.script("approve", "lost_answer", receipt_id=receipt_id)
    house.sandbox.script("receipt", "status", receipt_id=receipt_id, status=READY)
    house.sandbox.script("receipt", "status", receipt_id=receipt_id, status=IN_FLIGHT if house.api == "v2" else 3)
    house.look(receipt_id)
    house.sandbox.change(receipt_id, order_id=f"another-{receipt_id}")

    standing = house.seen(receipt_id)

    assert (standing.ended, standing.stock) == ("review order_mismatch", {"tee": "held"})
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
    assert (standing.ended, standing.stock, standing.wait) == (confirmed.ended, confirmed.stock, None)
    assert standing.owns_order
    assert (house.account(receipt_id).calls["approve"], house.account(receipt_id).calls["cancel"]) == (1, 0)


def test_a_cancel_is_told_anew_only_where_something_else_was_seen_between(house):
    """Somebody may have paid again, or more may have been cancelled: no two of these changes are taken for one."""
    receipt_id = house.begin()
    house.look(receipt_id)

    for change in ({"cancelled_price": 1000}, {}, {"cancelled_price": 0}, {}, {"cancelled_price": 1000}, {}):
        house.sandbox.change(receipt_id, **change)
        house.look(receipt_id)

    assert house.standing(receipt_id).announced == ["confirmed", "drift", "drift"]


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
