"""What every store promises of claims and leases, the twin in memory and the real one alike."""

from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from confirmation.confirmation import Job
from confirmation.errors import ClaimLost, DifferentDocument
from confirmation.events import Event, EventType
from confirmation.order import Money
from confirmation.ports import Stock
from confirmation.states import Reason, State
from tests.contract.commits import (
    LEASE,
    ORDER,
    assert_due_in,
    assert_leased,
    claimed,
    commit,
    confirmed,
    counts,
    moved,
    rejected,
    submitting,
    taken_over,
)

# Claims ---------------------------------------------------------------------------------------------------------------


def test_a_first_claim_inserts_the_row_and_holds_it(tested, store):
    confirmation = claimed(store)

    assert (confirmation.state, confirmation.order, confirmation.attempts) == (State.RECEIVED, ORDER, 1)
    assert (confirmation.idle_claims, confirmation.sequence) == (1, 0)
    assert_leased(tested, confirmation.hold, LEASE)
    assert not confirmation.hold.used
    assert not confirmation.hold.may_submit


def test_a_first_claim_keeps_the_whole_document(tested, store):
    claimed(store)

    order = tested.row("r1").confirmation.order
    assert (order.callback_url, dict(order.metadata), dict(order.items)) == (
        "https://shop.example/hook",
        {"cart": "c-77"},
        {"cap": 1, "tee": 2},
    )


@pytest.mark.parametrize("later", [0, LEASE + 1])
def test_a_copy_of_the_message_never_claims_a_row_that_was_claimed(tested, store, later):
    claimed(store)
    tested.advance(later)

    assert not store.claim(Job("r1", ORDER), LEASE).can_move


def test_the_first_callback_url_and_metadata_win(tested, store):
    claimed(store)

    again = store.claim(Job("r1", replace(ORDER, callback_url=None, metadata={})), LEASE)

    assert not again.can_move
    assert tested.row("r1").confirmation.order.metadata == {"cart": "c-77"}


def test_nobody_claims_while_a_lease_runs(store):
    first = claimed(store)

    assert not store.claim(Job("r1", fence=first.hold.fence), LEASE).can_move


def test_a_lease_that_is_over_is_taken_over_with_a_fresh_fence(tested):
    first, second = taken_over(tested)

    assert second.hold.fence != first.hold.fence
    assert (second.attempts, second.idle_claims) == (2, 2)
    assert second.created_at == tested.as_it_is_now(first.created_at)


def test_a_message_claims_only_the_fence_that_it_saw(tested, store):
    first, second = taken_over(tested)
    tested.advance(LEASE + 1)

    assert not store.claim(Job("r1", fence=first.hold.fence), LEASE).can_move
    assert not store.claim(Job("r1"), LEASE).can_move
    assert not store.claim(Job("r1", fence=UUID(int=0)), LEASE).can_move
    assert store.claim(Job("r1", fence=second.hold.fence), LEASE).can_move


def test_a_job_without_an_order_claims_a_kept_row(tested, store):
    kept = store.keep(ORDER, 2)
    assert not kept.can_move
    assert tested.row("r1").fence is None
    assert_due_in(tested, 2)

    assert store.claim(Job("r1"), LEASE).can_move


def test_a_kept_row_that_exists_stays_as_it_is(tested, store):
    first = claimed(store)

    kept = store.keep(ORDER, 2)

    assert (kept.state, kept.attempts, kept.can_move) == (State.RECEIVED, 1, False)
    assert tested.row("r1").fence == first.hold.fence
    assert_due_in(tested, LEASE)


def test_a_job_without_an_order_or_a_row_is_a_lookup_error(store):
    with pytest.raises(LookupError):
        store.claim(Job("r1"), LEASE)


@pytest.mark.parametrize("end", [State.CONFIRMED, State.VOIDED])
def test_an_ended_row_is_claimed_by_nobody(store, end):
    before = submitting(store)
    ended = store.write(commit(before, moved(before, end), stock=Stock.SELL))
    fence = before.hold.fence

    assert not ended.can_move
    assert not store.claim(Job("r1", fence=fence), LEASE).can_move
    assert not store.claim(Job("r1", ORDER), LEASE).can_move


def test_a_rejected_row_can_be_claimed_for_a_late_look(store):
    before = claimed(store)
    store.write(commit(before, moved(before, State.REJECTED, reason=Reason.NOT_READY)))

    late = store.claim(Job("r1", fence=before.hold.fence), LEASE)

    assert late.can_move
    assert (late.state, late.reason) == (State.REJECTED, Reason.NOT_READY)


# Another document -----------------------------------------------------------------------------------------------------

OTHERS = [
    replace(ORDER, order_id="o2"),
    replace(ORDER, amount=Money(3001, "KRW")),
    replace(ORDER, amount=Money(3000, "USD")),
    replace(ORDER, items={"cap": 1}),
    replace(ORDER, items={"cap": 1, "tee": 3}),
]


@pytest.mark.parametrize("other", OTHERS)
def test_a_different_document_is_refused_and_changes_nothing(tested, store, other):
    claimed(store)
    before = tested.row("r1")

    with pytest.raises(DifferentDocument):
        store.claim(Job("r1", other), LEASE)
    with pytest.raises(DifferentDocument):
        store.keep(other, 2)

    assert tested.row("r1") == before


@pytest.mark.parametrize("reason", [Reason.NOT_READY, Reason.DECLINED, Reason.AMOUNT_MISMATCH])
def test_a_rejection_holds_its_receipt(store, reason):
    rejected(store, reason)

    with pytest.raises(DifferentDocument):
        store.claim(Job("r1", OTHERS[0]), LEASE)


@pytest.mark.parametrize("reason", [Reason.ORDER_MISMATCH, Reason.RECEIPT_NOT_FOUND])
def test_a_receipt_that_was_never_that_orders_is_taken_over(tested, store, reason):
    old = rejected(store, reason)
    tested.advance(60)

    new = store.claim(Job("r1", OTHERS[0]), LEASE)

    assert new.can_move
    assert (new.state, new.reason, new.order.order_id) == (State.RECEIVED, None, "o2")
    assert (new.attempts, new.idle_claims, new.looks, new.parks, new.submits) == (1, 1, 0, 0, 0)
    assert new.created_at > old.created_at
    assert new.sequence == 1, "the sequence goes on"


def test_the_same_document_again_takes_nothing_over(store):
    rejected(store, Reason.RECEIPT_NOT_FOUND)

    again = store.claim(Job("r1", ORDER), LEASE)

    assert (again.can_move, again.reason) == (False, Reason.RECEIPT_NOT_FOUND)


def test_a_take_over_is_kept_by_whoever_meets_the_lock(tested, store):
    rejected(store, Reason.ORDER_MISMATCH)

    kept = store.keep(OTHERS[0], 2)

    assert (kept.state, kept.order.order_id, kept.can_move) == (State.RECEIVED, "o2", False)
    assert_due_in(tested, 2)
    assert store.claim(Job("r1"), LEASE).can_move


def test_a_worker_that_was_at_the_old_document_can_write_nothing(store):
    before = claimed(store)
    store.write(commit(before, moved(before, State.REJECTED, reason=Reason.ORDER_MISMATCH), lease_seconds=None))
    late = store.claim(Job("r1", fence=before.hold.fence), LEASE)

    assert store.claim(Job("r1", OTHERS[0]), LEASE).can_move, "a late look under way keeps nobody out"
    with pytest.raises(ClaimLost):
        store.write(commit(late, moved(late, State.VOIDING, reason=Reason.LATE_APPROVAL)))


# Renewals -------------------------------------------------------------------------------------------------------------


def test_a_renewal_extends_the_lease_and_nothing_else(tested, store):
    before = claimed(store)
    looked = replace(before, looks=3, hold=replace(before.hold, used=True))
    tested.advance(5)

    renewed = store.renew(looked, 18)

    row = tested.row("r1")
    assert (renewed.hold.fence, renewed.hold.used) == (before.hold.fence, False)
    assert_leased(tested, renewed.hold, 18)
    assert (row.confirmation.idle_claims, row.confirmation.attempts, row.confirmation.looks) == (1, 1, 0)


def test_a_renewal_by_a_stale_worker_is_a_lost_claim(tested):
    first, second = taken_over(tested)

    with pytest.raises(ClaimLost):
        tested.store.renew(first, LEASE)

    assert tested.row("r1").fence == second.hold.fence


# A look at what has ended well ----------------------------------------------------------------------------------------


def again(store, tested, confirmation):
    """Claim it as the sweep's message does."""
    row = tested.row(confirmation.receipt_id)
    return store.claim(Job(confirmation.receipt_id, fence=row.fence), LEASE)


def test_a_confirmed_row_is_claimed_only_while_somebody_asks_for_a_look(tested, store):
    ended = confirmed(store)
    assert not again(store, tested, ended).can_move

    tested.ask("r1")
    looking = again(store, tested, ended)
    assert looking.can_move
    store.write(commit(looking, looking))

    assert tested.row("r1").due_at is None
    assert not again(store, tested, ended).can_move


def test_a_look_at_a_confirmed_row_outlives_its_worker(tested, store):
    ended = confirmed(store)
    tested.ask("r1")
    again(store, tested, ended)

    tested.advance(LEASE + 1)

    assert again(store, tested, ended).can_move


def test_drift_is_told_and_polled_under_the_next_sequence_and_changes_nothing_else(tested, store):
    ended = confirmed(store)
    before = counts(tested, "tee")
    tested.ask("r1")
    looking = again(store, tested, ended)

    store.write(replace(commit(looking, looking), event=Event(uuid4(), EventType.DRIFT)))

    row = tested.row("r1").confirmation
    assert (row.state, row.owns_order, row.sequence) == (State.CONFIRMED, True, 2)
    assert [(told.sequence, told.type) for told in tested.outbox("r1")] == [
        (1, "payconfirm.confirmed"),
        (2, "payconfirm.drift"),
    ]
    assert tested.outbox("r1")[1].document["state"] == "confirmed"
    assert counts(tested, "tee") == before


def test_a_voided_row_is_never_looked_at_again(tested, store):
    before = claimed(store)
    voided = store.write(commit(before, moved(before, State.VOIDED, reason=Reason.OPERATOR)))

    tested.ask("r1")

    assert tested.row("r1").due_at is None
    assert not again(store, tested, voided).can_move
