"""What the client reads is what the relay stores: Celery's key, Celery's channel, the result document inside."""

import json
import math
import threading
import time
from datetime import UTC, datetime

import pytest
import redis
from celery import Celery

import payconfirm
from payconfirm import reading

RECEIPT = "5afd6be8e13f33616f2876ac"
KEY = f"celery-task-meta-payconfirm-{RECEIPT}"
RESULT = {
    "receipt_id": RECEIPT,
    "order_id": "order-1001",
    "state": "confirmed",
    "final": True,
    "amount": 3000,
    "currency": "KRW",
    "sequence": 1,
    "metadata": {"cart": "c-77"},
}
DAY_SECONDS = 86_400

#: Long enough that a test which needs it has failed.
NEVER_SECONDS = 60.0


@pytest.fixture
def store(redis_url):
    with redis.Redis.from_url(redis_url) as connection:
        yield connection


@pytest.fixture
def client(redis_url):
    with payconfirm.Client.from_url("amqp://127.0.0.1:1//", result_url=redis_url) as client:
        yield client


def success(result=RESULT):
    meta = {
        "status": "SUCCESS",
        "result": result,
        "traceback": None,
        "children": [],
        "date_done": "2026-11-23T01:00:01",
    }
    return json.dumps(meta | {"task_id": f"payconfirm-{RECEIPT}"})


def failure(words, **more):
    error = {"exc_type": "InvalidOrder", "exc_message": words, "exc_module": "payconfirm.errors"}
    meta = {"status": "FAILURE", "result": error, "traceback": None, "task_id": f"payconfirm-{RECEIPT}"}
    return json.dumps(meta | more)


def announce(store, stored):
    store.set(KEY, stored, ex=DAY_SECONDS)
    store.publish(KEY, stored)


def until(condition):
    ends_at = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < ends_at, "it never came true"


class Waiting(threading.Thread):
    """A wait in a thread of its own; `outcome` is what it gave or raised."""

    def __init__(self, client, timeout=NEVER_SECONDS / 2):
        super().__init__()
        self.wait_for = lambda: client.wait(RECEIPT, timeout=timeout)
        self.outcome = None

    def run(self):
        try:
            self.outcome = self.wait_for()
        except payconfirm.PayconfirmError as error:
            self.outcome = error

    def join_soon(self, seconds=5):
        self.join(timeout=seconds)
        assert not self.is_alive(), "still waiting"
        return self.outcome


def reads(store):
    """How often anybody has read a key since the counters were set back."""
    return store.info("commandstats").get("cmdstat_get", {"calls": 0})["calls"]


def listeners(store):
    return store.pubsub_numsub(KEY)[0][1]


def test_a_stored_result_is_given_as_it_is(client, store):
    announce(store, success())

    assert client.result(RECEIPT) == RESULT
    assert client.wait(RECEIPT, timeout=0) == RESULT


@pytest.mark.filterwarnings("ignore:Call to deprecated setex")  # Celery's own way of storing
def test_what_celerys_own_backend_stores_is_read(client, redis_url):
    """
    The relay stores as Celery does: Celery itself is the judge of how that is.
    """
    app = Celery("judge", broker="memory://", backend=redis_url, set_as_current=False)
    app.backend.store_result(f"payconfirm-{RECEIPT}", RESULT, "SUCCESS")
    app.backend.store_result("payconfirm-bad", payconfirm.InvalidOrder("amount: takes won"), "FAILURE")
    app.backend.client.close()
    app.close()

    assert client.result(RECEIPT) == RESULT
    with pytest.raises(payconfirm.InvalidOrder, match=r"^amount: takes won$"):
        client.result("bad")


def test_nothing_final_is_none(client, store):
    assert client.result(RECEIPT) is None

    store.set(KEY, json.dumps({"status": "STARTED", "result": {"pid": 1}}))
    assert client.result(RECEIPT) is None


@pytest.mark.parametrize("words", ["amount: takes won", ["amount: takes won"]])
def test_a_failure_is_an_invalid_order_with_its_words(client, store, words):
    announce(store, failure(words))

    with pytest.raises(payconfirm.InvalidOrder, match=r"^amount: takes won$"):
        client.result(RECEIPT)
    with pytest.raises(payconfirm.InvalidOrder, match=r"^amount: takes won$"):
        client.wait(RECEIPT, timeout=1)


def test_waiting_ends_with_the_hint(client, store, monkeypatch):
    store.config_resetstat()
    monkeypatch.setattr(reading, "READ_AGAIN_SECONDS", NEVER_SECONDS)
    waiting = Waiting(client)
    waiting.start()
    until(lambda: reads(store) == 1)

    announce(store, success())

    assert waiting.join_soon() == RESULT
    assert reads(store) == 2  # one before the hint and one after it
    until(lambda: listeners(store) == 0)


def test_a_result_stored_right_after_the_first_look_is_heard(client, store, monkeypatch):
    """
    Looking first and listening then would miss it.
    """
    monkeypatch.setattr(reading, "READ_AGAIN_SECONDS", NEVER_SECONDS)
    look = reading.Results._read

    def look_then_announce(self, *asked):
        found = look(self, *asked)
        if found is None:
            announce(store, success())
        return found

    monkeypatch.setattr(reading.Results, "_read", look_then_announce)
    store.config_resetstat()
    waiting = Waiting(client)
    waiting.start()

    assert waiting.join_soon() == RESULT
    assert reads(store) == 2


def test_a_result_whose_hint_was_lost_is_found_by_reading_again(client, store, monkeypatch):
    monkeypatch.setattr(reading, "READ_AGAIN_SECONDS", 0.05)
    store.config_resetstat()
    waiting = Waiting(client)
    waiting.start()
    until(lambda: reads(store) >= 1)

    store.set(KEY, success(), ex=DAY_SECONDS)

    assert waiting.join_soon(seconds=reading.ANSWER_SECONDS / 2) == RESULT


def test_waiting_outlives_its_connections(client, store):
    waiting = Waiting(client)
    waiting.start()
    until(lambda: listeners(store) == 1)

    for kind in ("pubsub", "normal"):
        store.client_kill_filter(_type=kind, skipme=True)
    until(lambda: listeners(store) == 1)
    announce(store, success())

    assert waiting.join_soon() == RESULT


def test_the_time_out_says_not_final_and_does_not_read_in_a_loop(client, store):
    store.config_resetstat()
    started = time.monotonic()

    with pytest.raises(payconfirm.NotFinal, match=RECEIPT):
        client.wait(RECEIPT, timeout=0.5)

    assert 0.5 <= time.monotonic() - started < 2
    assert reads(store) <= 4


def test_a_ticket_reads_and_waits_for_its_receipt(redis_url, store):
    with payconfirm.Client.from_url(redis_url) as client:
        ticket = client.enqueue({"receipt_id": RECEIPT, "order_id": "order-1001", "amount": 3000})
        assert ticket.result() is None
        with pytest.raises(payconfirm.NotFinal):
            ticket.wait(timeout=0)

        announce(store, success())

        assert ticket.result() == ticket.wait(timeout=1) == RESULT


def test_a_ticket_takes_no_older_refusal_for_its_own(redis_url, store):
    """
    The wrong document was refused, the corrected one is on its way and will be charged: that is no failure.
    """
    document = {"receipt_id": RECEIPT, "order_id": "order-1001", "amount": 3000}
    with payconfirm.Client.from_url(redis_url) as client:
        announce(store, failure(["amount: takes won, not 1.5"], date_done=datetime.now(UTC).isoformat()))
        ticket = client.enqueue(document)

        assert ticket.result() is None
        with pytest.raises(payconfirm.NotFinal):
            ticket.wait(timeout=0)
        with pytest.raises(payconfirm.InvalidOrder):
            client.result(RECEIPT)

        announce(store, failure(["metadata: too odd"], date_done=datetime.now(UTC).isoformat()))
        with pytest.raises(payconfirm.InvalidOrder, match="too odd"):
            ticket.wait()
        announce(store, success())
        assert ticket.wait() == RESULT


@pytest.mark.parametrize("different", [{"order_id": "order-1002"}, {"amount": 4000}, {"currency": "USD"}])
def test_a_ticket_never_takes_another_documents_result_for_its_own(redis_url, store, different):
    """
    A shop that reads "confirmed" ships. The broker takes every document; only the row knows whose the receipt is.
    """
    announce(store, success(RESULT | different))
    with payconfirm.Client.from_url(redis_url) as client:
        ticket = client.enqueue({"receipt_id": RECEIPT, "order_id": "order-1001", "amount": 3000})

        for ask in (ticket.result, ticket.wait):
            with pytest.raises(payconfirm.InvalidOrder, match="different document"):
                ask()


@pytest.mark.parametrize("receipt_id", ["", "a" * 65, "a\n", "a:b", "*", "a b", "é", None, 5, math.nan, "\ud800"])
def test_what_is_no_receipts_name_becomes_part_of_no_key(client, store, receipt_id):
    store.config_resetstat()

    for ask in (client.result, client.wait):
        with pytest.raises(payconfirm.InvalidOrder, match="receipt_id: takes a string of 1 to 64"):
            ask(receipt_id)

    assert reads(store) == 0


def test_a_store_that_is_away_is_not_taken_for_nothing_final():
    """
    "Not final" would let a shop tell its buyer that nothing has happened yet; nobody knows.
    """
    with payconfirm.Client.from_url("redis://127.0.0.1:1/0") as client:
        with pytest.raises(payconfirm.ResultsUnavailable) as away:
            client.result(RECEIPT)
        with pytest.raises(payconfirm.ResultsUnavailable):
            client.wait(RECEIPT, timeout=0.1)

    assert isinstance(away.value.__cause__, redis.ConnectionError)


def test_a_client_without_a_result_store_says_so():
    with (
        payconfirm.Client.from_url("amqp://127.0.0.1:1//") as client,
        pytest.raises(payconfirm.ResultsUnavailable, match="result_url"),
    ):
        client.result(RECEIPT)
