"""The pipeline after the outcome: late looks, money that goes back, and what drifts."""

from confirmation.answers import Refused
from confirmation.states import Reason, State
from sandbox.twins import Fault
from tests.unit.twin_shop import BROKEN, NOT_ASKED, TIMEOUT, voiding

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
