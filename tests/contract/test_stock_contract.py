"""What every store promises of stock, and of whose order it is, the twin in memory and the real one alike."""

from dataclasses import replace

import pytest

from confirmation.decisions import Refusal
from confirmation.ports import Stock
from confirmation.states import Reason, State
from tests.contract.commits import LEASE, ORDER, claimed, commit, confirmed, counts, moved, submitting


def second_order(**changes):
    return replace(ORDER, receipt_id="r2", **({"order_id": "o2"} | changes))


def try_to_reserve(store, order):
    before = claimed(store, order)
    return store.reserve(commit(before, moved(before, State.SUBMITTING), lease_seconds=18)), before


def test_a_reservation_takes_every_item_and_renews_the_lease(tested, store):
    before = claimed(store)

    reserved = store.reserve(commit(before, moved(before, State.SUBMITTING), lease_seconds=18))

    assert (reserved.state, reserved.owns_order, reserved.hold.seconds) == (State.SUBMITTING, True, 18)
    assert counts(tested, "tee") == (3, 2, 0)
    assert counts(tested, "cap") == (4, 1, 0)


def test_selling_takes_the_stock_only_once(tested, store):
    confirmed(store)

    assert counts(tested, "tee") == (3, 0, 2)


def test_a_release_gives_back_what_was_held_and_only_once(tested, store):
    before = submitting(store)
    voiding = store.write(commit(before, moved(before, State.VOIDING), stock=Stock.RELEASE, lease_seconds=LEASE))
    store.write(commit(voiding, moved(voiding, State.REJECTED, reason=Reason.OUT_OF_STOCK), stock=Stock.RELEASE))

    assert counts(tested, "tee") == (5, 0, 0)


def test_review_keeps_what_is_held(tested, store):
    before = submitting(store)
    after = moved(before, State.REVIEW, owns_order=True, review_from=State.SUBMITTING, reason=Reason.GATEWAY_UNCLEAR)
    store.write(commit(before, after))

    assert counts(tested, "tee") == (3, 2, 0)


def test_a_receipt_without_items_reserves_only_its_order(tested, store):
    reserved, _ = try_to_reserve(store, replace(ORDER, items={}))

    assert reserved.owns_order
    assert counts(tested, "tee") == (5, 0, 0)


@pytest.mark.parametrize(
    ("items", "refusal"),
    [
        ({"cap": 1, "tee": 6}, Refusal.OUT_OF_STOCK),
        ({"cap": 6, "tee": 1}, Refusal.OUT_OF_STOCK),
        ({"cap": 1, "nowhere": 1}, Refusal.UNKNOWN_SKU),
        ({"cap": 6, "nowhere": 1}, Refusal.UNKNOWN_SKU),
    ],
)
def test_a_reservation_takes_every_item_or_none(tested, store, items, refusal):
    refused, before = try_to_reserve(store, replace(ORDER, items=items))

    assert refused is refusal
    row = tested.row("r1")
    assert (row.confirmation.state, row.confirmation.owns_order) == (State.RECEIVED, False)
    assert row.confirmation.idle_claims == 1, "nothing was written"
    assert counts(tested, "cap") == (5, 0, 0)
    assert tested.steps("r1") == []
    assert row.fence == before.hold.fence


def test_after_a_refusal_the_worker_still_holds_the_row(store):
    _, before = try_to_reserve(store, replace(ORDER, items={"tee": 6}))

    ended = store.write(commit(before, moved(before, State.REJECTED, reason=Reason.OUT_OF_STOCK)))

    assert ended.reason is Reason.OUT_OF_STOCK


def test_the_last_items_are_held_once(tested, store):
    tested.set_stock("tee", 2)
    submitting(store)

    refused, _ = try_to_reserve(store, second_order())

    assert refused is Refusal.OUT_OF_STOCK
    assert counts(tested, "tee") == (0, 2, 0)
    assert counts(tested, "cap") == (4, 1, 0)


def test_an_order_that_another_receipt_owns_undecided_is_refused(tested, store):
    submitting(store)

    refused, _ = try_to_reserve(store, second_order(order_id="o1"))

    assert refused is Refusal.ORDER_UNDECIDED
    assert counts(tested, "tee") == (3, 2, 0)


def test_an_order_owned_from_review_is_undecided(store):
    before = submitting(store)
    after = moved(before, State.REVIEW, owns_order=True, review_from=State.SUBMITTING, reason=Reason.GATEWAY_UNCLEAR)
    store.write(commit(before, after))

    assert try_to_reserve(store, second_order(order_id="o1"))[0] is Refusal.ORDER_UNDECIDED


def test_an_order_that_another_receipt_paid_is_refused(store):
    confirmed(store)

    assert try_to_reserve(store, second_order(order_id="o1"))[0] is Refusal.ORDER_PAID


@pytest.mark.parametrize("held", [State.SUBMITTING, State.CONFIRMED])
def test_the_order_is_asked_for_before_the_stock(tested, store, held):
    """
    The first receipt of an order holds the last items: the second must wait for it, not end as out of stock.
    """
    tested.set_stock("tee", 2)
    _ = submitting(store) if held is State.SUBMITTING else confirmed(store)

    refused, _ = try_to_reserve(store, second_order(order_id="o1"))

    assert refused is (Refusal.ORDER_UNDECIDED if held is State.SUBMITTING else Refusal.ORDER_PAID)


@pytest.mark.parametrize("given_up_in", [State.REJECTED, State.VOIDING])
def test_an_order_that_was_given_up_can_be_owned_again(store, given_up_in):
    before = submitting(store)
    store.write(commit(before, moved(before, given_up_in, reason=Reason.DECLINED), stock=Stock.RELEASE))

    reserved, _ = try_to_reserve(store, second_order(order_id="o1"))

    assert reserved.owns_order


def test_a_row_that_was_refused_can_reserve_once_the_order_is_free(tested, store):
    first = submitting(store)
    refused, second = try_to_reserve(store, second_order(order_id="o1"))
    assert refused is Refusal.ORDER_UNDECIDED
    store.write(commit(first, moved(first, State.REJECTED, reason=Reason.DECLINED), stock=Stock.RELEASE))

    reserved = store.reserve(commit(second, moved(second, State.SUBMITTING), lease_seconds=18))

    assert reserved.owns_order
    assert counts(tested, "tee") == (3, 2, 0)
