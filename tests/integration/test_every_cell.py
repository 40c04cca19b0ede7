"""The whole decision table, every cell that can be brought about, with the real store, the real client and a gateway.

A receipt is brought into the state by the rules themselves, the gateway is made to show it as the row says, and it is
looked at once. `cells.py` has the table and how each row is shown.
"""

import re
from datetime import timedelta

import pytest

from confirmation.answers import Seen
from confirmation.states import State
from tests.integration.cell_house import NONE_LEFT, SUBMIT_IS_OVER, TERMS
from tests.integration.cells import (
    CANT_BE_SHOWN,
    CELLS,
    COLUMNS,
    DAY,
    ENDS,
    KINDS,
    LATE,
    LATE_TEN,
    LATE_TWO,
    TEN,
    TWO,
)

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
#: How long ago the earlier look was, where there was one.
LOOKED_AGO = {TWO: 3 * SECOND, LATE_TWO: 3 * SECOND, TEN: 10 * SECOND, LATE_TEN: 10 * SECOND}
#: How long the state has lasted, beyond the few seconds that it has in every cell.
LASTED = {LATE: TERMS.deadline, LATE_TWO: TERMS.deadline, LATE_TEN: TERMS.deadline, DAY: timedelta(days=1)}
#: Long enough to be sure, far shorter than what the table makes of a look that takes no time.
HURRIED_SECONDS = 0.2
#: Between a claim and the commit that follows it, on a busy machine.
PATIENCE = 10 * SECOND
TOLD = ("confirmed", "rejected", "voided", "review")


@pytest.fixture(scope="module")
def hurried(cell_houses):
    return {api: house.hurried(HURRIED_SECONDS) for api, house in cell_houses.items()}


# Each state, as the rules get there ----------------------------------------------------------------------------------


def received(house):
    return house.begin()


def submitting(house):
    receipt_id = house.begin()
    house.sandbox.script("approve", "no_answer", receipt_id=receipt_id)
    house.look(receipt_id)
    return receipt_id


def voiding(house):
    receipt_id = house.begin(NONE_LEFT, status=1)
    house.sandbox.script("cancel", "no_answer", receipt_id=receipt_id)
    house.look(receipt_id)
    return receipt_id


def in_review(bring):
    def bring_on(house):
        receipt_id = bring(house)
        house.sandbox.script("receipt", "status", receipt_id=receipt_id, status=77)
        house.look(receipt_id)
        return receipt_id

    return bring_on


def rejected(house):
    receipt_id = house.begin()
    house.let_pass(receipt_id, TERMS.deadline)
    house.look(receipt_id)
    return receipt_id


def confirmed(house):
    receipt_id = house.begin()
    house.look(receipt_id)
    return receipt_id


BRING = {
    "received": received,
    "submitting": submitting,
    "voiding": voiding,
    "review, was received": in_review(received),
    "review, was submitting": in_review(submitting),
    "review, was voiding": in_review(voiding),
    "rejected": rejected,
    "confirmed": confirmed,
}


@pytest.mark.parametrize("api", ["v1", "v2"])
@pytest.mark.parametrize("column", COLUMNS)
def test_each_state_is_what_its_column_says(cell_houses, api, column):
    """Without this the table could be tried out on something else."""
    house = cell_houses[api]

    standing = house.standing(BRING[column](house))

    state, _, origin = column.partition(", was ")
    assert (standing.state.value, standing.origin) == (state, origin or None)
    assert standing.reason == {"voiding": "out_of_stock", "review": "gateway_unclear",
                               "rejected": "deadline_exceeded"}.get(state)  # fmt: skip
    assert standing.owns_order is owns(state, origin)
    assert set(standing.stock.values()) == stock_of(state, origin)
    assert (standing.wait is None) is (state == "confirmed")


def owns(state, origin):
    return state in ("submitting", "confirmed") or origin == "submitting"


def stock_of(state, origin):
    """What the design says of the items: held while the outcome is open, sold, or given back."""
    if state == "confirmed":
        return {"sold"}
    return {"held"} if owns(state, origin) else set()


# The table ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
def test_each_cell_of_the_table_happens(cell_houses, hurried, cell):
    house = cell_houses[cell.api]
    receipt_id = BRING[cell.column](house)
    house.let_pass(receipt_id, SUBMIT_IS_OVER + LASTED.get(cell.moment, timedelta()))
    show(house, receipt_id, cell)
    gateway = hurried[cell.api] if cell.kind.hurried else house.gateway
    if cell.moment in LOOKED_AGO:
        house.look(receipt_id, gateway)
        house.let_pass(receipt_id, LOOKED_AGO[cell.moment])
    before, asked_before = house.standing(receipt_id), house.account(receipt_id)

    after = house.seen(receipt_id, gateway)

    ended, calls = read(cell, before)
    assert (after.state.value, after.reason) == ended
    asked = house.account(receipt_id)
    assert {call: asked.calls[call] - asked_before.calls[call] for call in calls} == calls
    assert_seen_as(cell, after.steps[len(before.steps)])
    assert_held(cell, before, after)
    assert_told(cell, before, after)
    assert_due(cell, after)
    assert_money(house, receipt_id, cell, asked.moved[len(asked_before.moved) :])


def show(house, receipt_id, cell):
    for change in cell.kind.changes:
        house.sandbox.change(receipt_id, **change)
    for fault in cell.kind.faults:
        house.sandbox.script(receipt_id=receipt_id, times=0, **fault)
    if cell.expected.startswith("voiding"):
        house.sandbox.script("cancel", "no_answer", receipt_id=receipt_id)


def read(cell, before):
    """What the table says of the state, the reason and the calls."""
    word, *more = [part for part in cell.expected.split() if not part.startswith("+")]
    stays = word in ("waits", "ends", "drift")
    ended = (before.state.value, before.reason) if stays else (word, more[0] if more else None)
    return ended, {"approve": cell.expected.count("+submit"), "cancel": cell.expected.count("+cancel")}


def assert_seen_as(cell, step):
    """The look is in the receipt's story, as the row of the table that it was made for."""
    seen = KINDS[cell.title].seen
    if seen is Seen.NO_WORD:
        assert step.seen.startswith("no word: ")
    elif seen is Seen.UNDOCUMENTED:
        assert re.fullmatch(rf"{seen} \(status -?\d+\)", step.seen)
    else:
        assert step.seen == ("no such receipt" if cell.title == "not there" else seen.value)


def assert_held(cell, before, after):
    """Stock and order go by the state alone, and in review by the state before it."""
    if after.state is State.REVIEW:
        voided_first = "voiding" if cell.column == "rejected" else None
        assert after.origin == (before.origin or voided_first or before.state.value)
    assert after.owns_order is owns(after.state.value, after.origin)
    given_back = {"released"} if before.stock else set()
    assert set(after.stock.values()) == (stock_of(after.state.value, after.origin) or given_back)


def assert_told(cell, before, after):
    """Each entry into one of the told states is one event more, of that state, in order; nothing else is told."""
    entered = after.state is not before.state and after.state.value in TOLD
    names = [cell.expected] if cell.expected == "drift" else [after.state.value] if entered else []
    fresh = after.told[len(before.told) :]
    assert [told.type for told in fresh] == [f"payconfirm.{name}" for name in names]
    assert [(told.state, told.reason) for told in fresh] == [(after.state.value, after.reason) for _ in names]
    assert [told.sequence for told in after.told] == list(range(1, after.row["sequence"] + 1))


def assert_due(cell, after):
    """An end is an end; a rejection is looked at again in a minute, unless what was seen is an end; the rest waits."""
    word = cell.expected.split()[0]
    if word in ("confirmed", "voided", "ends", "drift") or (word == "rejected" and cell.title in ENDS):
        assert after.wait is None
    elif word == "rejected":
        assert about(after.wait, MINUTE)
    elif after.state is State.REJECTED and cell.title != "no word":
        since_rejected = after.row["due_at"] - after.row["state_since"]
        assert any(about(since_rejected, span) for span in (MINUTE, 10 * MINUTE, 60 * MINUTE))
    else:
        assert timedelta() < after.wait <= longest_wait(after)


def about(span, expected):
    return abs(span - expected) < PATIENCE


def longest_wait(after):
    buyer_waits = after.state.value in ("received", "submitting")
    if buyer_waits and after.row["updated_at"] - after.row["created_at"] < TERMS.deadline:
        return 10 * SECOND
    return 60 * MINUTE if after.state is State.REJECTED else 10 * MINUTE


def assert_money(house, receipt_id, cell, fresh):
    """Only a submit takes money, only an answered cancel gives it back, and then all that remains of it."""
    kinds = [kind for kind, _ in fresh]
    if cell.expected.startswith("voided") and "+cancel" in cell.expected:
        at_the_gateway = house.sandbox.control("GET", f"/sandbox/receipts/{receipt_id}")
        assert at_the_gateway["cancelled_price"] == at_the_gateway["price"]
        assert kinds == ["cancel"]
    else:
        assert kinds == ["charge"] * cell.expected.count("+submit")


# Nothing is left out --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("api", ["v1", "v2"])
def test_every_cell_is_brought_about_or_listed_with_the_reason(api):
    brought_about = {(KINDS[cell.title].seen, cell.column) for cell in CELLS if cell.api == api}
    listed = {(seen, column) for version, seen in CANT_BE_SHOWN if version == api for column in COLUMNS}

    assert not brought_about & listed
    assert brought_about | listed == {(seen, column) for seen in Seen for column in COLUMNS}


@pytest.mark.parametrize("api", ["v1", "v2"])
def test_every_way_of_showing_a_row_is_tried_out(api):
    ways = {(title, kind.name) for title, way in KINDS.items() for kind in (way.v1 if api == "v1" else way.v2)}

    assert {(cell.title, cell.kind.name) for cell in CELLS if cell.api == api} == ways


@pytest.mark.parametrize("api", ["v1", "v2"])
def test_what_was_voided_is_not_looked_at_any_more(cell_houses, api):
    """The table's states have no column for it: no message claims it, whatever is asked."""
    house = cell_houses[api]
    receipt_id = house.begin(NONE_LEFT, status=1)
    before, asked = house.seen(receipt_id), house.account(receipt_id)
    assert before.state is State.VOIDED

    assert not house.ledger.ask(receipt_id)
    house.carry(receipt_id, before.row["fence"])

    assert house.standing(receipt_id).row["fence"] == before.row["fence"]
    assert house.account(receipt_id) == asked
