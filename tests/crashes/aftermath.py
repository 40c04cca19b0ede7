"""What became of a receipt, from every witness, and what must be true of it however its workers ended."""

import json
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from rich.console import Console

from worker.duty import explain
from worker.duty.audit import audit
from worker.gateway import Account, BootpayGateway
from worker.store.reading import Reading
from worker.store.stock import Stock

#: A step that decides one of these ends the receipt.
ENDS = {"commit": "confirmed", "reject": "rejected", "voided": "voided"}
#: So many are kept by us at most; the rules allow no more.
MOST_SUBMITS = 3
NO_FINDINGS: list[Any] = []


@dataclass(frozen=True)
class Found:
    """One receipt, as all witnesses have it."""

    #: `python -m worker explain --json`.
    story: dict[str, Any]
    #: The gateway's ledger.
    account: dict[str, Any]
    #: What came out of the exchange, in that order.
    published: list[dict[str, Any]]
    #: What Celery's result store has.
    stored: dict[str, Any] | None
    #: The result document that the HTTP door answers with.
    result: dict[str, Any]
    available: int
    held: int
    sold: int
    #: What the audit, the gateway asked, says against it or its shelf.
    findings: list[Any]


def look_at(ground, receipts):
    """Ask every witness about these receipts; None for one without a row."""
    house = ground.house
    accounts = house.control("GET", "/sandbox/ledger")["receipts"]
    published = defaultdict(list)
    for event in ground.events():
        published[event["subject"]].append(event)
    shelves = {shelf.sku: shelf for shelf in Stock(house.engine).show()}
    reading, findings = Reading(house.engine), audited(house)
    found = {}
    for receipt in receipts:
        told, shelf = reading.whole_story(receipt.id), shelves[receipt.sku]
        stored = house.redis.get(f"celery-task-meta-payconfirm-{receipt.id}")
        found[receipt.id] = told and Found(
            story=explain.as_data(told),
            account=accounts[receipt.id],
            published=published[receipt.id],
            stored=stored and json.loads(stored)["result"],
            result=reading.result(receipt.id),
            available=shelf.available,
            held=shelf.held,
            sold=shelf.sold,
            findings=findings[receipt.id] + findings[receipt.sku],
        )
    return found


def audited(house):
    """The audit's findings, by receipt and by SKU."""
    keys = {
        "client_key": house.environment["BOOTPAY_CLIENT_KEY"],
        "secret_key": house.environment["BOOTPAY_SECRET_KEY"],
    }
    gateway = BootpayGateway(Account("v2", house._gateway_url, **keys))
    report = audit(house.engine, gateway, Console(quiet=True))
    gateway._session.close()
    findings = defaultdict(list)
    for finding in report.findings.listed:
        findings[finding.receipt_id or finding.sku].append(finding)
    return findings


def check(way, found):
    """Hold every promise to one receipt that should have ended."""
    assert found is not None, "it was lost: there is no row"
    check_money(way, found)
    check_stock(way, found)
    check_announcements(way, found)
    check_explained(found)
    assert found.findings == NO_FINDINGS


def check_money(way, found):
    """At most one charge, and the gateway's word is ours."""
    assert (found.account["charges"], found.account["cancels"]) == (way.charges, way.cancels)
    assert (found.story["state"], found.story["reason"]) == (way.state, way.reason)
    assert found.account["calls"]["approve"] <= MOST_SUBMITS


def check_stock(way, found):
    assert (found.available, found.held, found.sold) == (way.shelf - way.sold, 0, way.sold)


def check_announcements(way, found):
    """Each event was told at least once, always under the same id, in order; and those who poll have the last."""
    first = by_first_time(found.published)
    assert [event["type"] for event in first] == [*way.told]
    assert [event["sequence"] for event in first] == [*range(1, len(way.told) + 1)]
    assert [event["id"] for event in first] == [event["id"] for event in found.story["events"]]
    assert found.stored == found.result == first[-1]["data"]


def by_first_time(events):
    """Drop the repeats, as a receiver does."""
    first = {}
    for event in events:
        first.setdefault(event["id"], event)
    return [*first.values()]


def check_explained(found):
    """The steps alone tell how it ended, and of every submit and cancel that may have been sent."""
    steps = [step for step in found.story["steps"] if not step["stale"]]
    decided = [step["decided"].partition(": ") for step in steps]
    verb, _, reason = [words for words in decided if words[0] in ENDS][-1]
    assert (ENDS[verb], reason or None) == (found.story["state"], found.story["reason"])
    verbs = [words[0] for words in decided]
    calls = found.account["calls"]
    assert verbs.count("reserve") + verbs.count("submit") >= calls["approve"]
    assert verbs.count("cancel") >= calls["cancel"]
    assert not found.account["charges"] or any(step["seen"].startswith("paid") for step in steps)
