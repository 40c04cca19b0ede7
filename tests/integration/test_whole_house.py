"""Receipts from a producer to their result, through real processes: web, worker, relay, and the sandbox gateway.

All stories begin at once when the house stands, so that the slow ones (a lost submit waits for its lease) overlap.
"""

import json
import time
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests

import payconfirm
from tests.houses import standing

PATIENCE_SECONDS = 90
STOCK = {"tee": 1000, "last": 1}


@dataclass(frozen=True)
class Story:
    """One receipt: how the gateway has it, what goes wrong, and what must come of it."""

    state: str
    reason: str | None = None
    receipt: dict[str, Any] | None = field(default_factory=dict)
    fault: dict[str, Any] | None = None
    document: dict[str, Any] = field(default_factory=dict)
    charges: int = 0
    cancels: int = 0


CONFIRMED = "confirmed"

STORIES = {
    "goes well": Story(CONFIRMED, charges=1),
    "has no items": Story(CONFIRMED, document={"items": []}, charges=1),
    "is in dollars": Story(
        CONFIRMED,
        receipt={"price": "10.50", "currency": "USD"},
        document={"amount": "10.50", "currency": "USD"},
        charges=1,
    ),
    "was tampered with": Story("rejected", "amount_mismatch", receipt={"price": 1}),
    "is in another currency": Story("rejected", "currency_mismatch", receipt={"currency": "USD"}),
    "is another order's": Story("rejected", "order_mismatch", receipt={"order_id": "somebody else's"}),
    "is another order's and paid": Story(
        "rejected", "order_mismatch", receipt={"order_id": "somebody else's", "status": 1}, charges=1
    ),
    "had failed": Story("rejected", "payment_failed", receipt={"status": -2}),
    "was cancelled": Story("rejected", "already_cancelled", receipt={"status": 20}, charges=1, cancels=1),
    "waits for a deposit": Story("rejected", "awaiting_deposit", receipt={"method": "vbank"}),
    "is no payment": Story("rejected", "not_ready", receipt={"status": 11}),
    "isn't known": Story("rejected", "receipt_not_found", receipt=None),
    "isn't authorised": Story("rejected", "not_ready", receipt={"status": 0}),
    "wants what nobody sells": Story(
        "rejected", "unknown_sku", document={"items": [{"sku": "unicorn", "quantity": 1}]}
    ),
    "wants more than there is": Story("rejected", "out_of_stock", document={"items": [{"sku": "last", "quantity": 2}]}),
    "is declined": Story("rejected", "declined", fault={"fault": "decline"}),
    "was paid before": Story(CONFIRMED, receipt={"status": 1}, charges=1),
    "was paid and can't be delivered": Story(
        "voided",
        "out_of_stock",
        receipt={"status": 1},
        document={"items": [{"sku": "last", "quantity": 2}]},
        charges=1,
        cancels=1,
    ),
    "was paid with another amount": Story(
        "voided", "amount_mismatch", receipt={"status": 1, "price": 1}, charges=1, cancels=1
    ),
    "was paid, and the cancel's answer is lost": Story(
        "voided",
        "amount_mismatch",
        receipt={"status": 1, "price": 1},
        fault={"call": "cancel", "fault": "lost_answer"},
        charges=1,
        cancels=1,
    ),
    "was paid, and the first cancel is refused": Story(
        "voided",
        "amount_mismatch",
        receipt={"status": 1, "price": 1},
        fault={"call": "cancel", "fault": "cancel_refused"},
        charges=1,
        cancels=1,
    ),
    "is partly cancelled": Story(
        "review", "partly_cancelled", receipt={"status": 1, "cancelled_price": 1000}, charges=1, cancels=1
    ),
    "has a number nobody documented": Story("review", "gateway_unclear", receipt={"status": 77}),
    "loses the answer to its submit": Story(CONFIRMED, fault={"fault": "lost_answer"}, charges=1),
    "loses its submit": Story(CONFIRMED, fault={"fault": "no_answer"}, charges=1),
    "gets a 500 and was charged": Story(CONFIRMED, fault={"fault": "http_500", "acts": True}, charges=1),
    "gets a 502 and wasn't charged": Story(CONFIRMED, fault={"fault": "http_502_html"}, charges=1),
    "gets half an answer": Story(CONFIRMED, fault={"fault": "half_json"}, charges=1),
    "gets a 200 that isn't paid": Story(CONFIRMED, fault={"fault": "not_paid_200"}, charges=1),
    "gets a 200 with another amount": Story(CONFIRMED, fault={"fault": "wrong_amount"}, charges=1),
    "gets a 401 in the middle": Story(CONFIRMED, fault={"fault": "http_401"}, charges=1),
    "is looked up in vain at first": Story(
        CONFIRMED, fault={"call": "receipt", "fault": "http_502_html", "times": 3}, charges=1
    ),
}


@pytest.fixture(scope="module", params=["v1", "v2"])
def house(request, servers, tmp_path_factory):
    """A house that speaks one of the two versions, with a database of its own."""
    with standing(servers, tmp_path_factory.mktemp("house"), api=request.param, stock=STOCK) as house:
        yield house


@pytest.fixture(scope="module")
def client(house):
    with payconfirm.Client.from_url(house.addresses.redis_url) as client:
        yield client


@pytest.fixture(scope="module")
def begun(house, client):
    """All stories, begun: their documents by name."""
    return {name: begin(house, client, name, story) for name, story in STORIES.items()}


def begin(house, client, name, story):
    order_id = f"order {name}"
    document = {"order_id": order_id, "amount": 3000, "items": [{"sku": "tee", "quantity": 1}], **story.document}
    if story.receipt is None:
        receipt_id = "0123456789abcdef01234567"
    else:
        changes = {key: story.receipt[key] for key in ("cancelled_price",) if key in story.receipt}
        opened = {"order_id": order_id, "price": 3000, **story.receipt}
        receipt_id = house.control(
            "POST", "/sandbox/receipts", {key: value for key, value in opened.items() if key not in changes}
        )["receipt_id"]
        if changes:
            house.control("PATCH", f"/sandbox/receipts/{receipt_id}", changes)
    if story.fault:
        house.control("POST", "/sandbox/faults", {"call": "approve", "receipt_id": receipt_id, **story.fault})
    document["receipt_id"] = receipt_id
    client.enqueue(document)
    return document


def over_http(house, method, path, **options):
    headers = {"Authorization": f"Bearer {house.keys.api}"}
    return requests.request(method, house.web_url + path, headers=headers, timeout=40, **options)


def settled(house, receipt_id):
    """The result, once it is final or in review."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        answer = over_http(house, "GET", f"/v1/confirmations/{receipt_id}?wait=1")
        if answer.status_code == 200 and (answer.json()["final"] or answer.json()["state"] == "review"):
            return answer.json()
    raise AssertionError(f"{receipt_id} wasn't settled: {answer.text}")


@pytest.mark.parametrize("name", STORIES)
def test_a_receipt_that(name, house, begun):
    story, document = STORIES[name], begun[name]

    result = settled(house, document["receipt_id"])

    assert (result["state"], result["reason"]) == (story.state, story.reason)
    assert (result["order_id"], result["amount"]) == (document["order_id"], document["amount"])
    if story.receipt is not None:
        account = house.control("GET", f"/sandbox/ledger/{document['receipt_id']}")
        assert (account["charges"], account["cancels"]) == (story.charges, story.cancels)


def test_celery_reads_the_same_result_as_http(house, client, begun):
    receipt_id = begun["goes well"]["receipt_id"]

    polled = client.wait(receipt_id, timeout=PATIENCE_SECONDS)

    assert polled == over_http(house, "GET", f"/v1/confirmations/{receipt_id}").json()
    assert polled["payment"]["method"] == "card"
    assert polled["payment"]["purchased_at"].endswith("+09:00")


def test_the_same_document_again_by_every_door_charges_once(house, client, begun):
    document = begun["goes well"]
    first = client.wait(document["receipt_id"], timeout=PATIENCE_SECONDS)

    for _ in range(3):
        client.enqueue(document)
    posted = over_http(house, "POST", "/v1/confirmations", json=document)

    assert (posted.status_code, posted.json()) == (200, first)
    assert client.wait(document["receipt_id"], timeout=PATIENCE_SECONDS) == first
    assert house.control("GET", f"/sandbox/ledger/{document['receipt_id']}")["charges"] == 1


def test_a_receipt_by_http_is_confirmed_and_waited_for(house):
    receipt = {"order_id": "order by http", "price": 3000}
    document = {"order_id": "order by http", "amount": 3000, "metadata": {"cart": "c-77"}}
    document["receipt_id"] = house.control("POST", "/sandbox/receipts", receipt)["receipt_id"]

    posted = over_http(house, "POST", "/v1/confirmations", json=document)
    result = over_http(house, "GET", posted.headers["Location"] + "?wait=25").json()

    assert posted.status_code == 202
    assert (result["state"], result["metadata"]) == ("confirmed", {"cart": "c-77"})


def test_a_second_receipt_for_a_confirmed_order_moves_no_money(house, begun):
    first = begun["goes well"]
    assert settled(house, first["receipt_id"])["state"] == "confirmed"
    receipt = {"order_id": first["order_id"], "price": 3000}
    second = first | {"receipt_id": house.control("POST", "/sandbox/receipts", receipt)["receipt_id"]}

    over_http(house, "POST", "/v1/confirmations", json=second)

    result = settled(house, second["receipt_id"])
    assert (result["state"], result["reason"]) == ("rejected", "order_already_paid")
    assert house.control("GET", f"/sandbox/ledger/{second['receipt_id']}")["charges"] == 0


def test_a_different_document_is_refused_and_changes_nothing(house, client, begun):
    document = begun["goes well"]
    before = settled(house, document["receipt_id"])
    different = document | {"amount": 4000}

    assert over_http(house, "POST", "/v1/confirmations", json=different).status_code == 409
    client.enqueue(different)

    letter = dead_letter(house, lambda letter: letter["receipt_id"] == document["receipt_id"])
    assert "used" in letter["reason"]
    assert over_http(house, "GET", f"/v1/confirmations/{document['receipt_id']}").json() == before
    assert client.result(document["receipt_id"]) == before


def test_another_order_takes_over_a_receipt_that_was_never_the_first_ones(house, client, begun):
    document = begun["is another order's"]
    assert settled(house, document["receipt_id"])["reason"] == "order_mismatch"

    rightful = document | {"order_id": "somebody else's"}
    client.enqueue(rightful)

    deadline = time.monotonic() + PATIENCE_SECONDS
    while (result := settled(house, document["receipt_id"]))["state"] != "confirmed" and time.monotonic() < deadline:
        time.sleep(0.1)
    assert (result["state"], result["order_id"], result["sequence"]) == ("confirmed", "somebody else's", 2)


def test_a_bad_document_by_celery_is_a_failure_and_a_dead_letter(house, client):
    app = client_app(house)
    document = {"receipt_id": "bad-document", "order_id": "o", "amount": 3000.5}
    app.send_task("payconfirm.confirm", [document], queue="payconfirm", task_id="payconfirm-bad-document")

    letter = dead_letter(house, lambda letter: letter["receipt_id"] == "bad-document")
    assert "amount" in letter["reason"]
    with pytest.raises(payconfirm.InvalidOrder, match="amount"):
        client.wait("bad-document", timeout=PATIENCE_SECONDS)
    app.close()


def test_explain_tells_each_story_in_order(house, begun):
    for name, decided in {
        "goes well": ["reserve", "commit"],
        "is declined": ["reserve", "look up", "reject: declined"],
        "was paid and can't be delivered": ["void: out_of_stock", "cancel", "voided: out_of_stock"],
    }.items():
        receipt_id = begun[name]["receipt_id"]
        settled(house, receipt_id)
        story = json.loads(house.run("python", "-m", "worker", "explain", receipt_id, "--json"))
        assert [step["decided"] for step in story["steps"]] == decided


def test_the_audit_agrees_with_the_gateway_when_all_is_settled(house, begun):
    for document in begun.values():
        settled(house, document["receipt_id"])

    audit = json.loads(house.run("python", "-m", "worker", "audit", "--gateway", "--json", ends_with=(0, 1)))

    assert audit["findings"] == []
    assert audit["ok"]
    assert {entry["reason"] for entry in audit["review"]} == {"partly_cancelled", "gateway_unclear"}


def dead_letter(house, wanted):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        letters = json.loads(house.run("python", "-m", "worker", "dead-letters", "--json"))
        for letter in letters:
            if wanted(letter):
                return letter
    raise AssertionError("no such dead letter")


def client_app(house):
    from celery import Celery  # noqa: PLC0415 — a producer's application, not ours

    return Celery(broker=house.addresses.redis_url, set_as_current=False)
