"""A receipt's whole story with a shop's hook in it: the real rules, store and client, over a sandbox gateway.

Whatever the shop's code does, the money's truth holds: what was paid is confirmed, given back, or people are asked.
"""

import copy
from datetime import timedelta

import pytest
from rich.console import Console
from sqlalchemy import text

from confirmation.operating import NotDone, void
from confirmation.resolving import Resolving, Word
from confirmation.states import State
from payconfirm import Refuse
from tests.hooks import Shop, raises
from tests.integration.cell_house import SUBMIT_IS_OVER, TEES, TERMS
from worker.duty import explain
from worker.store.ledger import Ledger
from worker.store.operating import Operating
from worker.store.reading import Reading

BROKEN = raises(KeyError("no such shelf"))
#: As it stands in the story.
SAID = "KeyError: 'no such shelf' (hooks.py:"
LATE = TERMS.deadline + timedelta(seconds=1)
HELD, SOLD, RELEASED = {"tee": "held"}, {"tee": "sold"}, {"tee": "released"}


@pytest.fixture
def shop():
    return Shop()


@pytest.fixture
def house(cell_houses, shop):
    house = copy.copy(cell_houses["v2"])
    house.hook = shop.hook()
    house.ledger = Ledger(house.engine, hook=house.hook)
    return house


def begin(house, shop, **does):
    """A receipt whose shop does this."""
    shop.does = does
    return house.begin(TEES)


def message(house, receipt_id):
    return Reading(house.engine).result(receipt_id)["message"]


def voided_by_hand(house, receipt_id):
    rows = Operating(house.engine, house.hook)
    void(rows, rows.standing(receipt_id).confirmation, "kim", restock=False)


def resolved(house, receipt_id, state):
    return Resolving(Operating(house.engine), house.world()).resolve(receipt_id, Word(state, force=True, by="kim"))


def explained(house, receipt_id):
    """All that `explain` shows a person."""
    console = Console(width=400, markup=False)
    with console.capture() as captured:
        explain.show(Reading(house.engine).whole_story(receipt_id), console)
    return captured.get()


# All goes well --------------------------------------------------------------------------------------------------------


def test_the_shop_has_its_part_in_a_payment_that_goes_well(house, shop):
    receipt_id = begin(house, shop)

    standing = house.seen(receipt_id)

    assert (standing.ended, standing.stock) == ("confirmed", SOLD)
    assert shop.called == ["on_reserve", "on_commit"]
    assert shop.calls[1][1]["state"] == "confirmed"
    assert shop.calls[1][1]["payment"] == standing.row["payment"]
    assert standing.row["payment"]["purchased_at"]


def test_the_shop_has_its_part_in_one_that_was_paid_elsewhere(house, shop):
    receipt_id = house.begin(TEES, status=1)

    assert house.seen(receipt_id).state is State.CONFIRMED
    assert shop.called == ["on_reserve", "on_commit"]


# It refuses -----------------------------------------------------------------------------------------------------------


def test_what_the_shop_refuses_to_reserve_is_rejected_before_money_moves(house, shop):
    receipt_id = begin(house, shop, on_reserve=raises(Refuse("the coupon is used")))

    standing = house.seen(receipt_id)

    assert (standing.ended, standing.stock) == ("rejected refused_by_hook", {})
    assert message(house, receipt_id) == "the coupon is used"
    assert standing.told[0].reason == "refused_by_hook"
    assert standing.steps[-1].detail == "the coupon is used"
    assert house.account(receipt_id).calls["approve"] == 0
    assert shop.called == ["on_reserve"]


def test_what_the_shop_refuses_and_is_found_paid_later_goes_back(house, shop):
    receipt_id = begin(house, shop, on_reserve=raises(Refuse("the coupon is used")))
    house.look(receipt_id)
    house.sandbox.change(receipt_id, status=1)

    standing = house.until_it_rests(receipt_id, ends=(State.VOIDED,))

    assert standing.ended == "voided late_approval"
    assert house.account(receipt_id).kept == 0
    assert shop.called == ["on_reserve"], "it holds nothing, so there is nothing to release"


def test_what_the_shop_refuses_to_reserve_and_is_paid_already_goes_back(house, shop):
    shop.does = {"on_reserve": raises(Refuse("the coupon is used"))}
    receipt_id = house.begin(TEES, status=1)

    standing = house.seen(receipt_id)

    assert standing.ended == "voided refused_by_hook"
    assert message(house, receipt_id) == "the coupon is used"
    assert house.account(receipt_id).kept == 0
    assert shop.called == ["on_reserve"]


def test_a_payment_that_the_shop_refuses_goes_back_with_all_that_was_held(house, shop):
    receipt_id = begin(house, shop, on_commit=raises(Refuse("the order was cancelled")))

    standing = house.seen(receipt_id)

    assert (standing.ended, standing.stock) == ("voided refused_by_hook", RELEASED)
    assert message(house, receipt_id) == "the order was cancelled"
    assert house.account(receipt_id).moved == [("charge", 3000), ("cancel", 3000)]
    assert standing.announced == ["voided"]
    assert shop.called == ["on_reserve", "on_commit", "on_release"]


def test_a_refused_payment_that_turns_out_not_to_be_taken_is_rejected_with_the_shops_words(house, shop):
    receipt_id = begin(house, shop, on_commit=raises(Refuse("the order was cancelled")))
    house.sandbox.script("cancel", "no_answer", receipt_id=receipt_id)
    house.look(receipt_id)
    house.sandbox.change(receipt_id, status=-2)

    standing = house.until_it_rests(receipt_id)

    assert standing.ended == "rejected refused_by_hook"
    assert message(house, receipt_id) == "the order was cancelled"
    assert shop.called == ["on_reserve", "on_commit", "on_release"]


# It fails -------------------------------------------------------------------------------------------------------------


def failed_at(standing, method):
    """The story's last step: what the gateway said, and what the shop's code did."""
    last = standing.steps[-1]
    assert last.decided.endswith(": hook_failed")
    assert last.detail.startswith(f"{method}: {SAID}")
    return last.seen


def test_a_payment_that_the_shop_can_not_take_note_of_waits_and_is_confirmed_once_it_can(house, shop):
    receipt_id = begin(house, shop, on_commit=BROKEN)

    standing = house.seen(receipt_id)

    assert (standing.state, standing.stock, standing.announced) == (State.SUBMITTING, HELD, [])
    assert failed_at(standing, "on_commit") == "paid"
    assert (standing.row["seen"], standing.row["payment"]["method"]) == ("paid", "card")
    assert timedelta() < standing.wait < timedelta(seconds=3)
    assert SAID in explained(house, receipt_id)

    shop.does = {}
    assert house.until_it_rests(receipt_id).ended == "confirmed"
    assert shop.called == ["on_reserve", "on_commit", "on_commit"]
    assert house.account(receipt_id).moved == [("charge", 3000)]


def test_a_payment_that_the_shop_can_never_take_note_of_is_given_to_people_and_neither_lost_nor_confirmed(house, shop):
    receipt_id = begin(house, shop, on_commit=BROKEN)
    house.look(receipt_id)
    house.let_pass(receipt_id, LATE)

    standing = house.seen(receipt_id)
    assert (standing.ended, standing.origin, standing.stock) == ("review hook_failed", "submitting", HELD)
    assert standing.owns_order
    failed_at(standing, "on_commit")

    for _ in range(3):
        house.wait(receipt_id)
        house.look_if_due(receipt_id)
    standing = house.standing(receipt_id)
    assert (standing.ended, standing.announced) == ("review hook_failed", ["review"])
    assert failed_at(standing, "on_commit") == "paid"
    assert house.account(receipt_id).kept == 3000

    shop.does = {}
    standing = house.until_it_rests(receipt_id)
    assert (standing.ended, standing.stock, standing.announced) == (
        "confirmed",
        SOLD,
        ["review", "confirmed"],
    )
    assert house.account(receipt_id).moved == [("charge", 3000)]


def test_waits_grow_while_the_shop_fails_and_never_reach_past_the_deadline(house, shop):
    receipt_id = begin(house, shop, on_commit=BROKEN)

    waits = [house.seen(receipt_id).wait.total_seconds() for _ in range(6)]

    assert [round(wait) for wait in waits] == [1, 2, 4, 8, 8, 8]


def test_a_reservation_that_the_shop_fails_at_waits_with_nothing_held(house, shop):
    receipt_id = begin(house, shop, on_reserve=BROKEN)

    standing = house.seen(receipt_id)
    assert (standing.state, standing.stock, standing.owns_order) == (State.RECEIVED, {}, False)
    assert failed_at(standing, "on_reserve") == "ready"
    assert house.account(receipt_id).calls["approve"] == 0

    shop.does = {}
    assert house.until_it_rests(receipt_id).state is State.CONFIRMED


def test_a_reservation_that_the_shop_fails_at_to_the_end_is_rejected_where_no_money_moved(house, shop):
    receipt_id = begin(house, shop, on_reserve=BROKEN)
    house.look(receipt_id)
    house.let_pass(receipt_id, LATE)

    assert house.seen(receipt_id).ended == "rejected deadline_exceeded"


def test_a_reservation_of_what_is_paid_that_the_shop_fails_at_to_the_end_is_given_to_people(house, shop):
    shop.does = {"on_reserve": BROKEN}
    receipt_id = house.begin(TEES, status=1)
    house.look(receipt_id)
    house.let_pass(receipt_id, LATE)

    standing = house.seen(receipt_id)
    assert (standing.ended, standing.origin, standing.stock) == ("review hook_failed", "received", {})
    house.wait(receipt_id)
    house.look_if_due(receipt_id)
    assert failed_at(house.standing(receipt_id), "on_reserve") == "paid"

    shop.does = {}
    assert house.until_it_rests(receipt_id, ends=(State.CONFIRMED,)).stock == SOLD


def declined(house, shop, **does):
    receipt_id = begin(house, shop, **does)
    house.sandbox.script("approve", "decline", receipt_id=receipt_id)
    return receipt_id


@pytest.mark.parametrize(
    ("does", "words"), [(BROKEN, f"on_release: {SAID}"), (raises(Refuse("never")), "on_release may not refuse: never")]
)
def test_a_release_that_the_shop_fails_at_waits_with_all_of_it_held(house, shop, does, words):
    receipt_id = declined(house, shop, on_release=does)

    standing = house.seen(receipt_id)
    assert (standing.state, standing.stock) == (State.SUBMITTING, HELD)
    assert standing.steps[-1].detail.startswith(words)

    shop.does = {}
    standing = house.until_it_rests(receipt_id)
    assert (standing.ended, standing.stock) == ("rejected declined", RELEASED)
    assert shop.called == ["on_reserve", "on_release", "on_release"]


def test_a_release_that_the_shop_fails_at_to_the_end_is_given_to_people(house, shop):
    receipt_id = declined(house, shop, on_release=BROKEN)
    house.look(receipt_id)
    house.let_pass(receipt_id, LATE)

    standing = house.seen(receipt_id)
    assert (standing.ended, standing.origin, standing.stock) == ("review hook_failed", "submitting", HELD)

    shop.does = {}
    standing = house.until_it_rests(receipt_id, ends=(State.REJECTED,))
    assert (standing.ended, standing.stock) == ("rejected declined", RELEASED)


def test_a_refused_payment_whose_release_fails_goes_back_once_the_shop_works_again(house, shop):
    receipt_id = begin(house, shop, on_commit=raises(Refuse("no")), on_release=BROKEN)

    standing = house.seen(receipt_id)
    assert (standing.state, standing.stock) == (State.SUBMITTING, HELD)
    failed_at(standing, "on_release")

    del shop.does["on_release"]
    assert house.until_it_rests(receipt_id).ended == "voided refused_by_hook"
    assert house.account(receipt_id).moved == [("charge", 3000), ("cancel", 3000)]


# People ---------------------------------------------------------------------------------------------------------------


def test_a_confirmed_payment_that_a_person_voids_is_the_shops_until_its_money_is_back(house, shop):
    receipt_id = begin(house, shop)
    house.look(receipt_id)

    voided_by_hand(house, receipt_id)
    assert shop.called == ["on_reserve", "on_commit"]
    house.look_if_due(receipt_id)

    assert house.standing(receipt_id).ended == "voided operator"
    assert shop.called == ["on_reserve", "on_commit", "on_void"]
    assert shop.calls[-1][1]["state"] == "voided"


def test_a_void_that_the_shop_can_not_take_note_of_waits_and_the_money_goes_back_once(house, shop):
    receipt_id = begin(house, shop, on_void=BROKEN)
    house.look(receipt_id)
    voided_by_hand(house, receipt_id)
    house.look_if_due(receipt_id)

    standing = house.standing(receipt_id)
    assert (standing.state, standing.announced) == (State.VOIDING, ["confirmed"])
    assert (standing.steps[-1].phase, failed_at(standing, "on_void")) == ("cancel", "cancelled")
    house.let_pass(receipt_id, LATE)
    standing = house.seen(receipt_id)
    assert (standing.ended, standing.origin) == ("review hook_failed", "voiding")

    shop.does = {}
    standing = house.until_it_rests(receipt_id, ends=(State.VOIDED,))
    assert (standing.ended, standing.announced) == ("voided operator", ["confirmed", "review", "voided"])
    assert house.account(receipt_id).moved == [("charge", 3000), ("cancel", 3000)]
    assert shop.called == ["on_reserve", "on_commit", "on_void", "on_void", "on_void"]


def held_in_review(house, shop, **does):
    """In review with its items held: the gateway says something that nobody documented."""
    receipt_id = begin(house, shop, **does)
    house.sandbox.script("approve", "no_answer", receipt_id=receipt_id)
    house.look(receipt_id)
    house.sandbox.change(receipt_id, status=77)
    house.let_pass(receipt_id, SUBMIT_IS_OVER)
    assert house.seen(receipt_id).ended == "review gateway_unclear"
    return receipt_id


def test_what_is_held_in_review_and_voided_by_a_person_is_released_at_once(house, shop):
    receipt_id = held_in_review(house, shop)

    voided_by_hand(house, receipt_id)

    assert shop.called == ["on_reserve", "on_release"]
    assert house.standing(receipt_id).stock == RELEASED


def test_a_persons_void_that_the_shop_fails_at_changes_nothing_and_stands_in_the_story(house, shop):
    receipt_id = held_in_review(house, shop, on_release=BROKEN)

    with pytest.raises(NotDone, match="the shop's own hook failed, on_release: KeyError: 'no such shelf'"):
        voided_by_hand(house, receipt_id)

    standing = house.standing(receipt_id)
    assert (standing.ended, standing.stock) == ("review gateway_unclear", HELD)
    assert standing.steps[-1].decided == "void: hook_failed"
    assert standing.steps[-1].detail.startswith(f"by kim; on_release: {SAID}")


def test_a_persons_word_that_it_is_confirmed_reaches_the_shop(house, shop):
    receipt_id = held_in_review(house, shop)

    confirmation, _ = resolved(house, receipt_id, State.CONFIRMED)

    assert confirmation.state is State.CONFIRMED
    assert shop.called == ["on_reserve", "on_commit"]


@pytest.mark.parametrize(("state", "told"), [(State.REJECTED, "on_release"), (State.VOIDED, "on_release")])
def test_a_persons_word_that_it_is_not_reaches_the_shop(house, shop, state, told):
    receipt_id = held_in_review(house, shop)

    confirmation, _ = resolved(house, receipt_id, state)

    assert confirmation.state is state
    assert shop.called == ["on_reserve", told]


def in_review(house, shop, **does):
    """In review with nothing held."""
    shop.does = does
    receipt_id = house.begin(TEES, status=77)
    assert house.seen(receipt_id).ended == "review gateway_unclear"
    return receipt_id


def test_a_persons_word_for_what_is_not_held_reserves_it_with_the_shop_first(house, shop):
    receipt_id = in_review(house, shop)

    assert resolved(house, receipt_id, State.CONFIRMED)[0].state is State.CONFIRMED
    assert shop.called == ["on_reserve", "on_commit"]


def test_a_persons_word_for_what_the_shop_refuses_to_reserve_leaves_it_in_review(house, shop):
    receipt_id = in_review(house, shop, on_reserve=raises(Refuse("the coupon is used")))

    with pytest.raises(NotDone, match="refused_by_hook, the coupon is used; it stays in review"):
        resolved(house, receipt_id, State.CONFIRMED)

    standing = house.standing(receipt_id)
    assert (standing.ended, standing.stock) == ("review gateway_unclear", {})
    assert "refused: refused_by_hook, the coupon is used" in standing.decided[-1]


def test_a_persons_word_for_a_payment_that_the_shop_refuses_sends_the_money_back(house, shop):
    receipt_id = held_in_review(house, shop, on_commit=raises(Refuse("the order was cancelled")))

    confirmation, _ = resolved(house, receipt_id, State.CONFIRMED)

    assert (confirmation.state, confirmation.reason, confirmation.message) == (
        State.VOIDING,
        "refused_by_hook",
        "the order was cancelled",
    )
    assert shop.called == ["on_reserve", "on_commit", "on_release"]
    house.sandbox.change(receipt_id, status=1)
    assert house.until_it_rests(receipt_id).ended == "voided refused_by_hook"
    assert house.account(receipt_id).kept == 0


@pytest.mark.parametrize("method", ["on_reserve", "on_commit"])
def test_a_persons_word_that_the_shop_fails_at_leaves_it_in_review(house, shop, method):
    receipt_id = in_review(house, shop, **{method: BROKEN})

    with pytest.raises(NotDone, match=f"the shop's own hook failed, {method}: KeyError"):
        resolved(house, receipt_id, State.CONFIRMED)

    standing = house.standing(receipt_id)
    assert standing.ended == "review gateway_unclear"
    assert standing.decided[-1] == "resolve as confirmed: hook_failed"
    assert standing.row["leased_until"] is None
    shop.does = {}
    assert resolved(house, receipt_id, State.CONFIRMED)[0].state is State.CONFIRMED
    with house.engine.connect() as connection:
        held = connection.execute(
            text("SELECT count(*) FROM payconfirm.reservations WHERE receipt_id = :id"), {"id": receipt_id}
        )
        assert held.scalar_one() == 1
