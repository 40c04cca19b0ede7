"""The pipeline over the twins: one receipt from wherever it stopped to its end, or to where it must wait."""

from dataclasses import replace

import pytest

from confirmation.confirmation import Job
from confirmation.errors import DifferentDocument
from confirmation.order import Money, Order
from confirmation.pipeline import confirm
from confirmation.states import Reason, State
from sandbox.twins import Fault, TwinReceipt
from tests.unit.twin_shop import ORDER, TIMEOUT, mid_call

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
