"""What every store promises of what a worker writes, the twin in memory and the real one alike."""

from dataclasses import replace
from datetime import timedelta

import pytest

from confirmation.confirmation import Job
from confirmation.errors import ClaimLost
from confirmation.events import EventType
from confirmation.ports import Stock
from confirmation.states import Reason, State
from tests.contract.commits import (
    LEASE,
    assert_due_in,
    assert_leased,
    claimed,
    commit,
    confirmed,
    moved,
    rejected,
    submitting,
    taken_over,
)

# Writes ---------------------------------------------------------------------------------------------------------------


def test_a_write_without_a_lease_gives_the_hold_up_until_it_is_due(tested, store):
    before = claimed(store)

    after = store.write(commit(before, replace(before, parks=1), wait=timedelta(seconds=7)))

    assert not after.can_move
    assert (after.parks, after.idle_claims, after.attempts) == (1, 0, 1)
    assert tested.row("r1").leased_until is None
    assert_due_in(tested, 7)
    assert tested.row("r1").fence == before.hold.fence


def test_a_write_without_a_wait_is_never_due(tested, store):
    rejected(store)

    assert tested.row("r1").due_at is None


def test_a_write_with_a_lease_keeps_the_hold_renewed(tested, store):
    before = claimed(store)
    tested.advance(4)

    after = store.write(commit(before, replace(before, looks=1), lease_seconds=18))

    assert (after.hold.fence, after.hold.used) == (before.hold.fence, False)
    assert after.hold.granted_at > before.hold.granted_at
    assert_leased(tested, after.hold, 18)


def test_a_hold_is_believed_over_no_later_than_the_row_says(store):
    before = claimed(store)

    after = store.write(commit(before, replace(before, looks=1), lease_seconds=18))

    assert before.hold.granted <= after.hold.granted
    assert after.hold.now(after.hold.granted) == after.hold.granted_at


def test_a_row_keeps_what_was_written(tested, store):
    before = claimed(store)
    at = before.created_at + timedelta(seconds=3)
    written = replace(
        before,
        message="no",
        payment={"method": "card", "purchased_at": None, "receipt_url": None},
        seen="ready",
        seen_since=at,
        looks=2,
        parks=3,
        submits=1,
        submitted_until=at,
        refusal="-1001",
        declined=True,
        cancel_number=4,
        cancel_refused=True,
        void_reason=Reason.OUT_OF_STOCK,
    )

    saved = store.write(commit(before, written))

    same = {"idle_claims": 0, "updated_at": saved.updated_at}
    assert saved == tested.row("r1").confirmation == replace(written, hold=None, **same)


def test_state_since_changes_only_with_the_state(tested, store):
    before = claimed(store)
    tested.advance(1)
    kept = tested.as_it_is_now(before.state_since)
    same = store.write(commit(before, replace(before, looks=1), lease_seconds=LEASE))
    tested.advance(1)
    other = store.write(commit(same, moved(same, State.VOIDING), lease_seconds=LEASE))

    assert same.state_since == kept
    assert same.updated_at > before.updated_at
    assert other.state_since > same.updated_at


def test_every_commit_leaves_its_step(tested, store):
    confirmed(store)

    assert tested.steps("r1") == ["submitting", "confirmed"]


# Events ---------------------------------------------------------------------------------------------------------------


def test_an_event_is_written_with_its_commit_and_takes_the_next_sequence(tested, store):
    before = claimed(store)
    asked = store.write(
        commit(before, moved(before, State.REVIEW, reason=Reason.GATEWAY_UNCLEAR, review_from=State.RECEIVED))
    )
    tested.advance(1)
    held = store.claim(Job("r1", fence=before.hold.fence), LEASE)
    ended = store.write(
        commit(held, moved(held, State.REJECTED, reason=Reason.DECLINED, message="no money", review_from=None))
    )

    first, second = tested.outbox("r1")
    assert (asked.sequence, ended.sequence) == (1, 2)
    assert (first.type, first.sequence, first.document["state"]) == (EventType.REVIEW, 1, "review")
    assert (second.type, second.sequence, second.document["state"]) == (EventType.REJECTED, 2, "rejected")
    assert (second.document["reason"], second.document["message"], second.document["final"]) == (
        "declined",
        "no money",
        True,
    )
    assert second.document["sequence"] == 2
    assert second.document["attempts"] == 2
    assert second.id != first.id


def test_an_events_document_says_when_the_row_changed(tested, store):
    ended = confirmed(store)

    (told_,) = tested.outbox("r1")
    assert told_.document["updated_at"] == ended.updated_at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def test_a_commit_that_tells_nothing_leaves_the_sequence(tested, store):
    before = submitting(store)

    assert before.sequence == 0
    assert tested.outbox("r1") == []


def test_a_final_document_stays_the_same_under_its_sequence(tested, store):
    before = claimed(store)
    store.write(commit(before, moved(before, State.REJECTED, reason=Reason.NOT_READY)))
    (first,) = tested.outbox("r1")
    late = store.claim(Job("r1", fence=before.hold.fence), LEASE)
    looked = store.write(commit(late, replace(late, payment={"method": "card"}, parks=1)))

    store.tell_again(looked)

    assert tested.outbox("r1") == [first]
    assert tested.polled("r1") == [first.document]


# Stale workers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", ["write", "reserve"])
def test_a_stale_workers_commit_changes_nothing_but_leaves_its_step(tested, call):
    first, second = taken_over(tested)
    stock = tested.stock("tee")

    with pytest.raises(ClaimLost):
        getattr(tested.store, call)(commit(first, moved(first, State.SUBMITTING), lease_seconds=LEASE))

    row = tested.row("r1")
    assert (row.confirmation.state, row.fence) == (State.RECEIVED, second.hold.fence)
    assert tested.stock("tee") == stock
    assert tested.steps("r1") == ["submitting"]


def test_a_stale_worker_has_its_receipt_looked_at_at_once(tested, store):
    first, second = taken_over(tested)
    store.write(commit(second, moved(second, State.REJECTED, reason=Reason.NOT_READY)))
    assert tested.row("r1").due_at is None

    with pytest.raises(ClaimLost):
        store.write(commit(first, moved(first, State.VOIDING)))

    assert tested.row("r1").due_at <= tested.now()


def test_a_look_asked_for_while_a_worker_is_on_the_row_is_not_lost(tested, store):
    """
    What the worker saw may be from before: if its own write took the asked look away, a payment made in
    that gap would never be found.
    """
    first, second = taken_over(tested)
    with pytest.raises(ClaimLost):
        store.write(commit(first, moved(first, State.VOIDING)))

    renewed = store.renew(second, LEASE)
    store.write(commit(renewed, moved(renewed, State.REJECTED, reason=Reason.NOT_READY)))

    assert tested.row("r1").due_at <= tested.now()


def test_a_look_asked_for_is_done_with_the_next_claim(tested, store):
    first, second = taken_over(tested)
    with pytest.raises(ClaimLost):
        store.write(commit(first, moved(first, State.VOIDING)))
    store.write(commit(second, replace(second, parks=1), wait=timedelta(minutes=1)))

    third = store.claim(Job("r1", fence=second.hold.fence), LEASE)
    store.write(commit(third, moved(third, State.REJECTED, reason=Reason.NOT_READY)))

    assert tested.row("r1").due_at is None


@pytest.mark.parametrize("end", [State.CONFIRMED, State.VOIDED])
def test_a_stale_worker_wakes_no_ended_receipt(tested, store, end):
    first, second = taken_over(tested)
    reserved = store.reserve(commit(second, moved(second, State.SUBMITTING), lease_seconds=LEASE))
    store.write(commit(reserved, moved(reserved, end), stock=Stock.SELL))

    with pytest.raises(ClaimLost):
        store.write(commit(first, moved(first, State.REJECTED, reason=Reason.NOT_READY)))

    assert tested.row("r1").due_at is None
    assert tested.row("r1").confirmation.state is end
    assert len(tested.outbox("r1")) == 1


def test_the_right_fence_in_the_wrong_state_writes_nothing(tested, store):
    before = claimed(store)
    store.write(commit(before, moved(before, State.VOIDING), lease_seconds=LEASE))

    with pytest.raises(ClaimLost):
        store.write(commit(before, moved(before, State.REJECTED, reason=Reason.NOT_READY)))

    assert tested.row("r1").confirmation.state is State.VOIDING


def test_a_lease_that_is_over_but_not_taken_still_writes(tested, store):
    before = claimed(store)
    tested.advance(LEASE + 1)

    after = store.write(commit(before, replace(before, looks=1), lease_seconds=LEASE))

    assert after.can_move
