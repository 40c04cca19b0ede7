"""What every store promises the rules, the twin in memory and the real one alike."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from confirmation.confirmation import Confirmation, Job
from confirmation.decisions import Refusal
from confirmation.errors import ClaimLost, DifferentDocument
from confirmation.events import Event, EventType, told
from confirmation.order import Money, Order
from confirmation.ports import Commit, Step, Stock
from confirmation.states import Reason, State

LEASE = 10.0
ORDER = Order("r1", "o1", Money(3000, "KRW"), {"cap": 1, "tee": 2}, "https://shop.example/hook", {"cart": "c-77"})
#: One statement of a real store reads its clock more than once.
ONE_STATEMENT = timedelta(seconds=1)


def moved(before, state, **changes):
    """The row in another state, as the rules' own commits leave it."""
    owns = state in (State.SUBMITTING, State.CONFIRMED)
    return replace(before, state=state, owns_order=changes.pop("owns_order", owns), **changes)


def commit(before, after, **beside):
    kind = told(before, after)
    step = Step(before.state.value, "ready", after.state.value)
    return Commit(before, after, step, event=Event(uuid4(), kind) if kind else None, **beside)


def claimed(store, order=ORDER, lease=LEASE):
    confirmation = store.claim(Job(order.receipt_id, order), lease)
    assert confirmation.can_move
    return confirmation


def submitting(store, order=ORDER):
    confirmation = claimed(store, order)
    reserved = store.reserve(commit(confirmation, moved(confirmation, State.SUBMITTING), lease_seconds=LEASE))
    assert isinstance(reserved, Confirmation)
    return reserved


def confirmed(store, order=ORDER):
    before = submitting(store, order)
    return store.write(commit(before, moved(before, State.CONFIRMED), stock=Stock.SELL))


def rejected(store, reason=Reason.NOT_READY, order=ORDER, wait=None):
    before = claimed(store, order)
    return store.write(commit(before, moved(before, State.REJECTED, reason=reason), stock=Stock.RELEASE, wait=wait))


def taken_over(tested):
    """Two workers: the first one's lease is over, and the second has claimed the row."""
    first = claimed(tested.store)
    tested.advance(LEASE + 1)
    second = tested.store.claim(Job("r1", fence=first.hold.fence), LEASE)
    assert second.can_move
    return first, second


def assert_leased(tested, hold, seconds):
    """The lease runs from when it was granted, and the row is due when it is over."""
    row = tested.row("r1")
    until = hold.granted_at + timedelta(seconds=seconds)
    assert abs(row.leased_until - until) < ONE_STATEMENT
    assert abs(row.due_at - until) < ONE_STATEMENT
    assert (row.fence, hold.seconds) == (hold.fence, seconds)


def assert_due_in(tested, seconds, receipt_id="r1"):
    """A real store's clock goes on between the write and the look at it."""
    due_in = (tested.row(receipt_id).due_at - tested.now()).total_seconds()
    assert seconds - 2 < due_in <= seconds


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


# Stock and orders -----------------------------------------------------------------------------------------------------


def counts(tested, sku):
    shelf = tested.stock(sku)
    return shelf.available, shelf.held, shelf.sold


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
