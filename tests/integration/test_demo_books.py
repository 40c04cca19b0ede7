"""A demo's books: who comes, and that it is told when something doesn't add up."""

import re
from collections import Counter
from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from sandbox.demo import report
from sandbox.demo.cast import SCARCE, Kind, invite, stock_for
from sandbox.demo.checks import Books, Done, complaints
from sandbox.demo.plan import Deed
from sandbox.demo.rush import Ending
from tests.integration.demos import how_often


def test_the_same_seed_invites_the_same_buyers():
    assert invite(7, 60) == invite(7, 60)
    assert invite(7, 60) != invite(8, 60)


@pytest.mark.parametrize("receipts", [20, 60, 400])
def test_every_kind_of_buyer_comes(receipts):
    buyers = invite(1, receipts)

    assert len(buyers) == receipts
    assert {buyer.kind for buyer in buyers} == set(Kind)
    assert sum(buyer.kind is Kind.SCARCE for buyer in buyers) > stock_for(buyers)[SCARCE.sku]


# What doesn't add up is told ------------------------------------------------------------------------------------------


@pytest.fixture
def books():
    """Books of a rush in which everything went as it should."""
    buyers = invite(1, 60)
    stock, given, paid_orders = stock_for(buyers), 0, set()
    endings, receipts = [], {}
    for buyer in buyers:
        end = min(buyer.kind.right, key=str)
        if buyer.kind is Kind.SCARCE:
            given += 1
            end = ("confirmed", None) if given <= stock[SCARCE.sku] else ("rejected", "out_of_stock")
        if buyer.kind is Kind.TWO_RECEIPTS:
            end = ("rejected", "order_already_paid") if buyer.order_id in paid_orders else ("confirmed", None)
            paid_orders.add(buyer.order_id)
        endings.append(Ending(buyer, end, buyer.amount, 0.0, 0.2))
        charged = buyer.amount if end[0] in ("confirmed", "voided") else 0
        receipts[buyer.receipt_id] = {"charged": charged, "cancelled": charged if end[0] == "voided" else 0}
    totals = {"charged_twice": [], "charged": {"KRW": 0}, "cancelled": {"KRW": 0}}
    for kind in ("charged", "cancelled"):
        totals[kind]["KRW"] = sum(account[kind] for account in receipts.values())
    books = Books(endings, {"totals": totals, "receipts": receipts}, stock, {}, {"ok": True, "findings": []})
    return replace(books, stock_left={sku: there - books.sold[sku] for sku, there in stock.items()})


def test_nothing_is_told_when_everything_adds_up(books):
    assert complaints(books) == []


def test_an_ending_that_is_not_right_for_its_buyer_is_told(books):
    at = next(place for place, ending in enumerate(books.endings) if ending.buyer.kind is Kind.UNKNOWN)
    books.endings[at] = replace(books.endings[at], end=("rejected", "declined"))

    (told,) = complaints(books)
    assert told.startswith(f"receipt {books.endings[at].buyer.receipt_id} (unknown) ended as rejected declined,")
    assert told.endswith("should have as rejected receipt_not_found")


def test_money_that_nobody_confirmed_is_told(books):
    rejected = next(ending.buyer.receipt_id for ending in books.endings if ending.buyer.kind is Kind.DECLINED)
    books.ledger["receipts"][rejected]["charged"] = 500
    books.ledger["totals"]["charged"]["KRW"] += 500

    told = complaints(books)

    assert re.fullmatch(r"the gateway keeps [\d,]+ won, and [\d,]+ won are confirmed here", told[0])
    assert told[1:] == [f"receipt {rejected}: the gateway keeps 500 won, it should be 0"]


def test_a_second_charge_is_told(books):
    books.ledger["totals"]["charged_twice"].append("5afd6be8e13f33616f2876ac")

    assert complaints(books) == ["charged twice: 5afd6be8e13f33616f2876ac"]


def test_an_order_paid_with_both_its_receipts_is_told(books):
    for place, ending in enumerate(books.endings):
        if ending.buyer.kind is Kind.TWO_RECEIPTS:
            books.endings[place] = replace(ending, end=("confirmed", None))
            order_id = ending.buyer.order_id

    assert f"{order_id} was paid for with two receipts, and 2 of them are confirmed" in complaints(books)


def test_a_unit_that_is_missing_from_the_shelf_is_told(books):
    books.stock_left["mug-blue"] -= 1

    assert [told for told in complaints(books) if told.startswith("mug-blue: ")] == complaints(books) != []


def test_what_the_audit_found_is_told(books):
    found = replace(books, audit={"ok": False, "findings": [{"check": "stock"}]})

    assert complaints(found) == ["the audit found something: [{'check': 'stock'}]"]


# What was done to it is told -----------------------------------------------------------------------------------------


def test_what_was_done_is_counted_and_the_slowest_receipt_named(books):
    books.endings[7] = replace(books.endings[7], told_at=21.5)

    told = shown(
        replace(books, done=Done({Deed.KILL_WORKER: 3}, {"http_500": 5}, asked_again=4, put_off=2, stale_steps=1))
    )

    assert how_often("worker killed", told) == 3
    assert how_often("error of the gateway (500)", told) == 5
    in_one_line = " ".join(told.split())
    assert "the slowest receipt took 21.5 s, and 1 of 59 more than 3 s" in in_one_line
    assert "4 buyers by Celery: their message may have been lost with Redis" in in_one_line
    assert "60 of 60 receipts ended as they should" in in_one_line
    assert "Redis killed" not in told
    assert "left out" not in told
    assert "What was done to it" not in shown(books)


def test_it_is_said_that_somebodys_servers_were_spared(books):
    told = shown(replace(books, done=Done({Deed.KILL_WORKER: 3}, {}, spared=True)))

    assert "PostgreSQL and Redis are yours, so this part is left out" in told


def test_a_demo_that_killed_nobody_has_not_shown_what_it_says(books):
    assert complaints(replace(books, done=Done(Counter(), {}))) == ["no worker was killed"]


def test_where_everything_is_wrong_not_everything_is_told(books):
    console = Console(record=True, width=200, file=StringIO())

    report.show(console, books, [f"thing {number}" for number in range(500)])

    told = console.export_text()
    assert "wrong: thing 0" in told
    assert "thing 499" not in told
    assert "500 things don't add up." in told


@pytest.mark.parametrize(("unknown", "words"), [(1, "the one receipt that"), (2, "the 2 receipts that")])
def test_receipts_that_the_gateway_does_not_know_are_counted_as_people_count(books, unknown, words):
    known = [ending for ending in books.endings if ending.buyer.kind is not Kind.UNKNOWN]
    others = [ending for ending in books.endings if ending.buyer.kind is Kind.UNKNOWN]

    told = shown(replace(books, endings=known + (others * 2)[:unknown]))

    assert f"Without {words} it doesn't know" in " ".join(told.split())


def shown(books):
    console = Console(record=True, width=200, file=StringIO())
    report.show(console, books, [])
    return console.export_text()
