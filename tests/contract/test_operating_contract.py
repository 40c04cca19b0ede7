"""What every store promises people on duty, the twin in memory and the real one alike."""

from dataclasses import replace
from uuid import uuid4

import pytest

from confirmation.confirmation import Confirmation, Job
from confirmation.errors import ClaimLost
from confirmation.ports import Stock
from confirmation.states import Reason, State
from tests.contract.commits import (
    LEASE,
    ORDER,
    assert_due_in,
    claimed,
    commit,
    confirmed,
    moved,
    rejected,
    submitting,
)
from tests.contract.store_under_test import Shelf


def in_review(tested):
    """Asked about, with its items held."""
    before = submitting(tested.store)
    review = moved(
        before, State.REVIEW, reason=Reason.GATEWAY_UNCLEAR, review_from=State.SUBMITTING, owns_order=True, looks=4
    )
    return tested.store.write(commit(before, review))


def voided(tested):
    """Voided by the rules, what it held given back."""
    before = submitting(tested.store)
    return tested.store.write(commit(before, moved(before, State.VOIDED), stock=Stock.RELEASE))


def held_again(tested):
    """Claim what was voided, and hold its items anew."""
    again = tested.store.claim(Job("r1", fence=tested.row("r1").fence), LEASE)
    sold = tested.operating.make_room("r1", again.hold.fence)
    return sold, tested.store.reserve(commit(again, moved(again, State.SUBMITTING), lease_seconds=LEASE))


def test_it_says_how_a_receipt_stands_and_with_which_fence_it_is_claimed(tested):
    submitting(tested.store)

    standing = tested.operating.standing("r1")

    assert standing.confirmation.state is State.SUBMITTING
    assert tested.row("r1").fence == standing.fence


def test_a_receipt_without_a_row_is_a_lookup_error(tested):
    with pytest.raises(LookupError):
        tested.operating.standing("r1")


def test_a_retry_has_it_looked_at_now_and_counts_crashes_anew(tested):
    rejected(tested.store, wait=None)

    assert tested.operating.retry("r1", "kim")

    assert_due_in(tested, 0)
    assert tested.row("r1").confirmation.idle_claims == 0
    assert tested.steps("r1")[-1] == "retry"


def test_a_retry_while_a_worker_is_on_it_is_not_lost(tested):
    before = claimed(tested.store)
    tested.operating.retry("r1", "kim")

    tested.store.write(commit(before, moved(before, State.REJECTED, reason=Reason.NOT_READY)))

    assert_due_in(tested, 0)


@pytest.mark.parametrize("end", [confirmed, voided])
def test_what_has_ended_is_not_retried(tested, end):
    end(tested.store if end is confirmed else tested)

    assert not tested.operating.retry("r1", "kim")
    assert tested.row("r1").due_at is None


def test_a_void_takes_the_row_from_whoever_has_it(tested):
    in_review(tested)
    again = tested.store.claim(Job("r1", fence=tested.row("r1").fence), LEASE)

    assert tested.operating.void("r1", State.REVIEW, "kim", restock=False)

    with pytest.raises(ClaimLost):
        tested.store.write(commit(again, again))
    row = tested.row("r1")
    assert (row.confirmation.state, row.confirmation.reason) == (State.VOIDING, Reason.OPERATOR)
    assert (row.confirmation.void_reason, row.confirmation.owns_order) == (Reason.OPERATOR, False)
    assert (row.confirmation.looks, row.confirmation.seen, row.leased_until) == (0, None, None)
    assert row.fence != again.hold.fence


def test_a_void_does_nothing_to_what_was_moved_since_the_person_looked(tested):
    confirmed(tested.store)

    assert not tested.operating.void("r1", State.REVIEW, "kim", restock=True)
    assert tested.row("r1").confirmation.state is State.CONFIRMED
    assert tested.stock("tee") == Shelf(3, 0, 2)


@pytest.mark.parametrize("state", [State.SUBMITTING, State.REJECTED])
def test_only_what_is_confirmed_or_in_review_is_voided(tested, state):
    {State.SUBMITTING: submitting, State.REJECTED: rejected}[state](tested.store)

    assert not tested.operating.void("r1", state, "kim", restock=True)
    assert tested.row("r1").confirmation.state is state


@pytest.mark.parametrize(("restock", "shelf"), [(True, Shelf(5, 0, 0)), (False, Shelf(3, 0, 2))])
def test_what_was_sold_comes_back_only_where_it_is_wanted(tested, restock, shelf):
    confirmed(tested.store)

    assert tested.operating.void("r1", State.CONFIRMED, "kim", restock=restock)

    assert tested.stock("tee") == shelf
    assert_due_in(tested, 0)


@pytest.mark.parametrize("restock", [True, False])
def test_what_was_held_is_given_back_by_a_void_in_any_case(tested, restock):
    in_review(tested)

    assert tested.operating.void("r1", State.REVIEW, "kim", restock=restock)

    assert tested.stock("tee") == Shelf(5, 0, 0)


def test_a_void_gives_the_order_up(tested):
    confirmed(tested.store)
    tested.operating.void("r1", State.CONFIRMED, "kim", restock=True)

    other = claimed(tested.store, order=replace(ORDER, receipt_id="r2"))

    assert isinstance(
        tested.store.reserve(commit(other, moved(other, State.SUBMITTING), lease_seconds=LEASE)), Confirmation
    )


def test_what_was_given_back_can_be_taken_anew(tested):
    in_review(tested)
    tested.operating.void("r1", State.REVIEW, "kim", restock=False)

    sold, reserved = held_again(tested)

    assert sold == frozenset()
    assert isinstance(reserved, Confirmation)
    assert tested.stock("tee") == Shelf(3, 2, 0)


def test_what_stayed_sold_is_named_and_not_taken_again(tested):
    confirmed(tested.store)
    tested.operating.void("r1", State.CONFIRMED, "kim", restock=False)

    fence = tested.row("r1").fence

    assert tested.operating.make_room("r1", fence) == {"cap", "tee"}
    assert tested.stock("tee") == Shelf(3, 0, 2)


def test_no_room_is_made_by_whoever_has_lost_the_row(tested):
    before = submitting(tested.store)
    released = tested.store.write(
        commit(before, moved(before, State.VOIDING), stock=Stock.RELEASE, lease_seconds=LEASE)
    )

    tested.operating.make_room("r1", uuid4())

    with pytest.raises(Exception, match=r"(?i)duplicate|once"):
        tested.store.reserve(commit(released, moved(released, State.SUBMITTING), lease_seconds=LEASE))


def test_an_order_keeps_all_its_items_where_only_some_are_taken(tested):
    """
    A person's word holds only what isn't sold yet; the row is still about the whole order.
    """
    before = claimed(tested.store)
    some = replace(ORDER, items={"tee": 2})
    taking = commit(
        moved(before, State.RECEIVED, order=some), moved(before, State.SUBMITTING, order=some), lease_seconds=LEASE
    )

    reserved = tested.store.reserve(taking)

    assert reserved.order.items == ORDER.items
    assert tested.stock("cap") == Shelf(5, 0, 0)
