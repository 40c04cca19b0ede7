"""`resolve` and `void` with the gateway behind them: its word goes before a person's, and money goes back once.

What the commands say and refuse apart from that is `test_duty_operating.py`'s.
"""

from types import SimpleNamespace
from typing import NamedTuple

import pytest
from typer.testing import CliRunner

from confirmation.states import State
from tests.integration.cell_house import NONE_LEFT, NUMBERS, SUBMIT_IS_OVER, TERMS
from tests.integration.cells import KINDS
from worker.duty import commands

PAID, CANCELLED = 1, 20
VOID = ("void", "--yes")


@pytest.fixture
def house(cell_house):
    return cell_house


@pytest.fixture
def duty(house, monkeypatch):
    """Runs a command in this process, on this house."""
    parts = SimpleNamespace(world=house.world(), hints=SimpleNamespace(outbox=lambda: None))
    monkeypatch.setattr(commands.bootstrap, "build_worker", lambda _, **__: parts)
    monkeypatch.setattr(commands.bootstrap, "build_engine", lambda _: house.engine)
    monkeypatch.setattr(commands.logs, "configure", lambda _: None)
    nowhere = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/x", "REDIS_URL": "redis://127.0.0.1:1"}
    keys = {"BOOTPAY_CLIENT_KEY": "x", "BOOTPAY_SECRET_KEY": "x"}
    return lambda *arguments: CliRunner().invoke(commands.cli, arguments, env=nowhere | keys)


def shown(house, receipt_id, title):
    """Have the gateway show the receipt as this row of the table, in the first of its ways."""
    way = KINDS[title]
    kind = (way.v1 if house.api == "v1" else way.v2)[0]
    for change in kind.changes:
        house.sandbox.change(receipt_id, **change)
    for fault in kind.faults:
        house.sandbox.script(receipt_id=receipt_id, times=0, **fault)


def in_review(house, receipt_id):
    house.sandbox.script("receipt", "status", receipt_id=receipt_id, status=77)
    assert house.seen(receipt_id).state is State.REVIEW
    return receipt_id


def holding(house):
    """In review with its items held: a submit was sent and nobody knows what became of it."""
    receipt_id = house.begin()
    house.sandbox.script("approve", "no_answer", receipt_id=receipt_id)
    house.look(receipt_id)
    house.let_pass(receipt_id, SUBMIT_IS_OVER)
    return in_review(house, receipt_id)


def voiding(house, **receipt):
    """In review, its items given back, its money still at the gateway."""
    receipt_id = house.begin(NONE_LEFT, status=PAID, **receipt)
    house.sandbox.script("cancel", "no_answer", receipt_id=receipt_id)
    house.look(receipt_id)
    return in_review(house, receipt_id)


class Word(NamedTuple):
    """What the gateway shows, what a person says, and what comes of it without and with --force."""

    shows: str
    says: str
    ends: str
    forced: str | None = None


#: "paid, failed, cancelled: the row follows the gateway, whatever was asked; in flight: refused; else the word of the
#: person who says --force."
FOLLOWED = [
    Word("paid", "rejected", "confirmed"),
    Word("paid into a virtual account", "voided", "confirmed"),
    Word("paid, other amount", "confirmed", "voided amount_mismatch"),
    Word("paid, other currency", "rejected", "voided currency_mismatch"),
    Word("failed", "confirmed", "rejected declined"),
    Word("cancelled in full", "confirmed", "rejected already_cancelled"),
]
STAYS = "review gateway_unclear"
NOT_FOLLOWED = [
    Word("in flight", "confirmed", STAYS, STAYS),
    Word("in flight, other amount", "rejected", STAYS, STAYS),
    Word("in flight, other currency", "voided", STAYS, STAYS),
    Word("a cancel under way", "voided", STAYS, STAYS),
    Word("ready", "rejected", STAYS, "rejected operator"),
    Word("ready, other amount", "confirmed", STAYS, "confirmed"),
    Word("ready, other currency", "voided", STAYS, "voided operator"),
    Word("partly cancelled", "voided", STAYS, "voided operator"),
    Word("a cancel failed", "confirmed", STAYS, "confirmed"),
    Word("not authorised", "rejected", STAYS, "rejected operator"),
    Word("not there", "rejected", STAYS, "rejected operator"),
    Word("waits for a deposit", "rejected", STAYS, "rejected operator"),
    Word("not a payment", "confirmed", STAYS, "confirmed"),
    Word("another order's", "rejected", STAYS, "rejected operator"),
    Word("a number nobody documented", "voided", STAYS, "voided operator"),
    Word("no word", "confirmed", STAYS, "confirmed"),
]
STOCK = {"confirmed": "sold", "review": "held", "rejected": "released", "voided": "released"}


def can_be_shown(house, title):
    if not (KINDS[title].v1 if house.api == "v1" else KINDS[title].v2):
        assert (house.api, title) in {("v2", "a cancel under way"), ("v2", "a cancel failed")}
        return False
    return True


def test_every_row_of_the_table_is_met_by_a_person():
    assert {word.shows for word in (*FOLLOWED, *NOT_FOLLOWED)} == set(KINDS)


@pytest.mark.parametrize("word", FOLLOWED, ids=lambda word: f"{word.shows}, as {word.says}")
def test_the_row_follows_the_gateway_whatever_was_asked(house, duty, word):
    receipt_id = holding(house)
    shown(house, receipt_id, word.shows)

    done = duty("resolve", receipt_id, "--as", word.says, "--force")

    standing = house.standing(receipt_id)
    assert done.exit_code == 0, done.stderr
    assert standing.ended == word.ends
    assert standing.announced == ["review", standing.state.value]
    assert standing.stock == {"tee": STOCK[standing.state.value]}


@pytest.mark.parametrize("word", NOT_FOLLOWED, ids=lambda word: f"{word.shows}, as {word.says}: {word.forced}")
def test_a_persons_word_counts_only_with_force_and_only_where_the_gateway_has_none(house, duty, word):
    if not can_be_shown(house, word.shows):
        return
    receipt_id = holding(house)
    shown(house, receipt_id, word.shows)
    asked = house.account(receipt_id).calls

    hesitant = duty("resolve", receipt_id, "--as", word.says)
    standing = house.standing(receipt_id)
    assert (hesitant.exit_code, standing.ended, standing.stock) == (1, word.ends, {"tee": "held"})
    forced = duty("resolve", receipt_id, "--as", word.says, "--force")

    standing = house.standing(receipt_id)
    assert (forced.exit_code, standing.ended) == (1 if word.forced == STAYS else 0, word.forced)
    assert standing.stock == {"tee": STOCK[standing.state.value]}
    assert standing.announced == ["review", *([] if word.forced == STAYS else [standing.state.value])]
    calls = house.account(receipt_id).calls
    assert (calls["approve"], calls["cancel"]) == (asked["approve"], asked["cancel"]), "a word moves no money"
    assert calls["receipt"] > asked["receipt"] or word.shows == "no word"


@pytest.mark.parametrize(("then", "ends"), [(PAID, "voided out_of_stock"), (CANCELLED, "voided out_of_stock")])
def test_what_was_voiding_follows_the_gateway_too(house, duty, then, ends):
    receipt_id = voiding(house)
    house.sandbox.change(receipt_id, status=then)

    done = duty("resolve", receipt_id, "--as", "confirmed")

    assert (done.exit_code, house.standing(receipt_id).ended) == (0, ends)
    assert house.account(receipt_id).kept == 0


@pytest.mark.parametrize("says", ["confirmed", "rejected", "voided"])
def test_a_deposit_that_only_people_can_refund_stays_in_review_until_the_gateway_shows_it_back(house, duty, says):
    receipt_id = house.begin(NONE_LEFT, method="vbank", status=PAID)
    assert house.seen(receipt_id).ended == "review virtual_account_refund"

    done = duty("resolve", receipt_id, "--as", says, "--force")

    assert (done.exit_code, house.standing(receipt_id).ended) == (1, "review virtual_account_refund")
    house.sandbox.change(receipt_id, status=CANCELLED)
    done = duty("resolve", receipt_id, "--as", says)
    assert (done.exit_code, house.standing(receipt_id).ended) == (0, "voided out_of_stock")


@pytest.mark.parametrize("says", ["confirmed", "rejected"])
def test_no_word_ends_a_payment_whose_order_another_receipt_owns_undecided(house, duty, says):
    """As confirmed the order would be paid twice; as rejected the buyer's money would be forgotten."""
    order_id = f"order-of-two-{next(NUMBERS)}"
    first = house.begin(order_id=order_id)
    house.sandbox.script("approve", "no_answer", receipt_id=first)
    house.look(first)
    second = house.begin(order_id=order_id, status=PAID)
    house.let_pass(second, TERMS.deadline)
    assert house.seen(second).ended == "review order_undecided"

    done = duty("resolve", second, "--as", says, "--force")

    assert (done.exit_code, house.standing(second).ended) == (1, "review order_undecided")
    assert house.account(second).moved == []


# Void -----------------------------------------------------------------------------------------------------------------


def confirmed(house, **receipt):
    receipt_id = house.begin(**receipt)
    assert house.seen(receipt_id).state is State.CONFIRMED
    return receipt_id


@pytest.mark.parametrize(("restock", "stock"), [((), "sold"), (("--restock",), "released")])
def test_void_sends_the_money_back_and_the_items_only_when_asked(house, duty, restock, stock):
    receipt_id = confirmed(house)

    assert duty(*VOID, receipt_id, *restock).exit_code == 0
    standing = house.standing(receipt_id)
    assert (standing.ended, standing.stock, standing.owns_order) == ("voiding operator", {"tee": stock}, False)
    standing = house.seen(receipt_id)

    assert (standing.ended, standing.stock) == ("voided operator", {"tee": stock})
    assert house.account(receipt_id).moved == [("charge", 3000), ("cancel", 3000)]
    assert standing.announced == ["confirmed", "voided"]


@pytest.mark.parametrize("fault", ["lost_answer", "no_answer", "cancel_refused", "http_500", "http_429"])
def test_void_gives_the_money_back_once_whatever_its_cancel_is_answered(house, duty, fault):
    receipt_id = confirmed(house)
    house.sandbox.script("cancel", fault, receipt_id=receipt_id)
    duty(*VOID, receipt_id)

    standing = house.until_it_rests(receipt_id)

    assert standing.ended == "voided operator"
    assert house.account(receipt_id).moved == [("charge", 3000), ("cancel", 3000)]


def test_void_of_what_somebody_has_cancelled_already_sends_nothing(house, duty):
    receipt_id = confirmed(house)
    house.sandbox.change(receipt_id, status=CANCELLED)
    house.look(receipt_id)
    assert house.standing(receipt_id).announced == ["confirmed", "drift"]
    duty(*VOID, receipt_id)

    standing = house.seen(receipt_id)

    assert standing.ended == "voided operator"
    assert standing.announced == ["confirmed", "drift", "voided"]
    assert house.account(receipt_id).calls["cancel"] == 0


def test_void_of_what_somebody_has_cancelled_in_part_sends_the_rest(house, duty):
    receipt_id = confirmed(house)
    house.sandbox.change(receipt_id, cancelled_price=1000)
    duty(*VOID, receipt_id)

    assert house.seen(receipt_id).ended == "voided operator"
    assert house.account(receipt_id).moved == [("charge", 3000), ("cancel", 2000)]


def test_void_of_a_deposit_asks_people_for_the_buyers_account(house, duty):
    receipt_id = confirmed(house, method="vbank", status=PAID)
    duty(*VOID, receipt_id)

    standing = house.seen(receipt_id)

    assert standing.ended == "review virtual_account_refund"
    assert house.account(receipt_id).calls["cancel"] == 0
    house.sandbox.change(receipt_id, status=CANCELLED)
    assert house.seen(receipt_id).ended == "voided operator"


@pytest.mark.parametrize(
    ("shows", "ends"),
    [("paid", "voided operator"), ("failed", "rejected operator"), ("cancelled in full", "voided operator")],
)
def test_void_of_what_is_in_review_gives_its_items_back_and_ends_as_the_gateway_says(house, duty, shows, ends):
    """A person can't know whether money was taken: where none was, nothing is sent."""
    receipt_id = holding(house)
    duty(*VOID, receipt_id)
    assert house.standing(receipt_id).stock == {"tee": "released"}
    shown(house, receipt_id, shows)

    assert house.until_it_rests(receipt_id).ended == ends
    assert house.account(receipt_id).calls["cancel"] == (shows == "paid")
    assert house.account(receipt_id).kept == 0
