"""Announcements: in order, once marked, with a place that no late commit slips behind."""

import json

import pytest
import redis
from celery.result import AsyncResult
from kombu import Connection, Queue
from sqlalchemy import text

from confirmation.states import Reason
from tests import ledgers
from worker.relay.events import EXCHANGE, EventPublisher
from worker.relay.results import ResultStore
from worker.store.feed import Feed
from worker.store.ledger import Ledger
from worker.store.outbox import Outbox


@pytest.fixture
def ledger(engine):
    return Ledger(engine)


def end(ledger, receipt_id):
    return ledgers.confirmed(ledger, ledgers.reserve(ledger, ledgers.claimed(ledger, ledgers.order(receipt_id))))


def test_events_are_taken_by_one_relay_until_its_lease_is_over(engine, ledger):
    end(ledger, "r1")
    first, second = Outbox(engine), Outbox(engine)

    [event] = first.take_events(10)
    assert second.take_events(10) == []

    with engine.connect() as connection:
        connection.execute(text("UPDATE payconfirm.outbox SET leased_until = clock_timestamp() - interval '1 second'"))
    assert second.take_events(10) == [event]


def test_a_later_event_of_a_receipt_waits_for_the_earlier_one(engine, ledger):
    confirmation = end(ledger, "r1")
    Outbox(engine).take_events(10)
    with engine.connect() as connection:
        connection.execute(
            text(
                "INSERT INTO payconfirm.outbox (id, receipt_id, sequence, type, document, at, result_due)"
                " SELECT gen_random_uuid(), 'r1', :next, 'payconfirm.voided', document, at, true FROM payconfirm.outbox"
            ),
            {"next": confirmation.sequence + 1},
        )

    assert Outbox(engine).take_events(10) == []


def test_events_that_could_not_be_published_are_taken_again_at_once(engine, ledger):
    end(ledger, "r1")
    outbox = Outbox(engine)
    events = outbox.take_events(10)

    outbox.give_back(events)

    assert outbox.take_events(10) == events


def test_a_published_event_is_not_taken_again(engine, ledger):
    end(ledger, "r1")
    outbox = Outbox(engine)

    outbox.mark_published(outbox.take_events(10))

    assert outbox.take_events(10) == []


def test_places_follow_the_order_of_events_and_need_no_broker(engine, ledger):
    for number in range(5):
        end(ledger, f"r{number}")
    outbox = Outbox(engine)

    placed = [outbox.place(3), outbox.place(3), outbox.place(3)]

    assert placed == [3, 2, 0]
    assert [placed.event["subject"] for placed in Feed(engine).read(0, 10)] == [f"r{number}" for number in range(5)]


def test_celery_reads_the_stored_result(engine, ledger, redis_url):
    end(ledger, "r1")
    outbox, results = Outbox(engine), ResultStore(redis.Redis.from_url(redis_url))

    results.store(outbox.due_results(10))

    app = sender_app_with(redis_url)
    result = AsyncResult("payconfirm-r1", app=app)
    assert (result.state, result.get(timeout=5)["state"]) == ("SUCCESS", "confirmed")
    app.close()


def test_an_older_result_never_replaces_a_newer_one_and_a_failure_replaces_none(engine, ledger, redis_url):
    end(ledger, "r1")
    [old] = Outbox(engine).due_results(10)
    new = type(old)(**(vars(old) | {"sequence": 2, "document": old.document | {"sequence": 2, "state": "voided"}}))
    client = redis.Redis.from_url(redis_url)
    results = ResultStore(client)

    results.store([new])
    results.store([old])
    results.store_failure("payconfirm-r1", "receipt_id: wrong")

    stored = json.loads(client.get("celery-task-meta-payconfirm-r1"))
    assert (stored["status"], stored["result"]["sequence"]) == ("SUCCESS", 2)
    assert 86_000 < client.ttl("celery-task-meta-payconfirm-r1") <= 86_400
    client.close()


def test_a_failure_is_read_as_one_by_celery_and_replaced_by_a_result(engine, ledger, redis_url):
    client = redis.Redis.from_url(redis_url)
    results = ResultStore(client)
    results.store_failure("payconfirm-r1", "amount: KRW takes a whole number")
    app = sender_app_with(redis_url)

    failed = AsyncResult("payconfirm-r1", app=app)
    assert failed.state == "FAILURE"
    assert "amount" in str(failed.result)

    end(ledger, "r1")
    results.store(Outbox(engine).due_results(10))
    assert AsyncResult("payconfirm-r1", app=app).state == "SUCCESS"
    app.close()
    client.close()


def test_a_bound_queue_gets_the_event_as_cloudevents_json(engine, ledger, redis_url):
    end(ledger, "r1")
    with Connection(redis_url) as connection:
        queue = Queue("shop", EXCHANGE, routing_key="payconfirm.*")(connection.channel())
        queue.declare()
        publisher = EventPublisher(redis_url)
        publisher.publish(Outbox(engine).take_events(10))

        message = queue.get(no_ack=True)
        publisher.close()

    event = json.loads(message.body)
    assert message.delivery_info["routing_key"] == "payconfirm.confirmed"
    assert message.content_type == "application/cloudevents+json"
    assert (event["specversion"], event["source"], event["type"]) == ("1.0", "payconfirm", "payconfirm.confirmed")
    assert (event["subject"], event["sequence"], event["data"]["state"]) == ("r1", 1, "confirmed")


def sender_app_with(redis_url):
    from celery import Celery  # noqa: PLC0415 — a producer's application, not ours

    return Celery(broker=redis_url, backend=redis_url, set_as_current=False)


def test_a_key_that_is_no_result_holds_up_nobody_elses(engine, ledger, redis_url):
    for receipt_id in ("r1", "r2"):
        end(ledger, receipt_id)
    with redis.Redis.from_url(redis_url) as client:
        client.rpush("celery-task-meta-payconfirm-r1", "somebody's list")

        ResultStore(client).store(Outbox(engine).due_results(10))

        for receipt_id in ("r1", "r2"):
            assert json.loads(client.get(f"celery-task-meta-payconfirm-{receipt_id}"))["status"] == "SUCCESS"


def test_the_result_of_a_document_whose_receipt_was_taken_over_is_taken_back(engine, ledger, redis_url):
    """
    Whoever polls for the document that took over would read the other order's rejection.
    """
    ledgers.rejected(ledger, ledgers.claimed(ledger, ledgers.order("r1", "wrong")), Reason.ORDER_MISMATCH)
    outbox = Outbox(engine)
    with redis.Redis.from_url(redis_url) as client:
        results = ResultStore(client)
        results.store(stored := outbox.due_results(10))
        outbox.mark_stored(stored)

        ledgers.claimed(ledger, ledgers.order("r1", "right"))
        results.store(outbox.due_results(10))

        assert client.get("celery-task-meta-payconfirm-r1") is None


def test_a_result_that_is_asked_for_while_it_is_stored_is_stored_once_more(engine, ledger):
    """
    The key may have been read and deleted in between: nothing would ever stand there again.
    """
    done = end(ledger, "r1")
    outbox = Outbox(engine)
    stored = outbox.due_results(10)

    ledger.tell_again(done)
    outbox.mark_stored(stored)

    (again,) = outbox.due_results(10)
    assert again.document == stored[0].document
    outbox.mark_stored([again])
    assert outbox.due_results(10) == []
