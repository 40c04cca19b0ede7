"""Events through Redis: a queue that nobody reads stops growing, is told of, and holds nobody up."""

import json

import pytest
import redis
import structlog
from kombu import Connection, Queue

from tests import ledgers
from worker.broker.queues import BrokerAway
from worker.relay import queues as queues_module
from worker.relay.events import EXCHANGE, EventPublisher
from worker.relay.queues import MISSED, Bound, BoundQueues, bound_queues
from worker.store.ledger import Ledger
from worker.store.outbox import Outbox

CAP, LONG = 10, 5
UNCAPPED = "if over > 0 then"


@pytest.fixture
def client(redis_url):
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        yield client


@pytest.fixture
def publisher(redis_url, monkeypatch):
    monkeypatch.setattr(queues_module, "CAP", CAP)
    monkeypatch.setattr(queues_module, "LONG", LONG)
    publisher = EventPublisher(redis_url)
    yield publisher
    publisher.close()


@pytest.fixture
def bind(redis_url):
    with Connection(redis_url) as connection:

        def bind(name, routing_key="payconfirm.*"):
            queue = Queue(name, EXCHANGE, routing_key)(connection.channel())
            queue.declare()
            return queue

        yield bind


@pytest.fixture
def events(engine):
    """Give the next so many events."""
    ledger, numbers = Ledger(engine), iter(range(1000))

    def give(count):
        for number, _ in zip(numbers, range(count), strict=False):
            ledgers.rejected(ledger, ledgers.claimed(ledger, ledgers.order(f"r{number}")))
        return Outbox(engine).take_events(count)

    return give


def told(queue):
    messages = iter(lambda: queue.get(no_ack=True), None)
    return [json.loads(message.body)["id"] for message in messages]


@pytest.fixture(params=[True, False], ids=["guarded", "control"])
def guarded(request, monkeypatch):
    if not request.param:
        assert UNCAPPED in queues_module._PUSH
        monkeypatch.setattr(queues_module, "_PUSH", queues_module._PUSH.replace(UNCAPPED, "if false then"))
    return request.param


def test_a_queue_that_nobody_reads_keeps_the_newest_events_and_the_others_get_all(
    publisher, bind, events, client, guarded
):
    gone, reading = bind("gone"), bind("reading")
    published, read = [], []

    for batch in (8, 8, 8):
        published += publisher.publish(events(batch))
        read += told(reading)

    ids = [str(event.id) for event in published]
    assert read == ids
    assert bound_queues(client)["gone"] == (Bound(CAP, 14) if guarded else Bound(24, 0))
    assert told(gone) == (ids[-CAP:] if guarded else ids)


def test_people_hear_of_a_long_queue_before_it_misses_anything_and_then_of_a_full_one_once_a_minute(
    publisher, bind, events, monkeypatch
):
    bind("gone")
    clock = [0.0]
    monkeypatch.setattr(queues_module, "monotonic", lambda: clock[0])
    heard = []

    for batch, later in ((5, 0), (2, 0), (8, 1), (1, 61), (1, 1)):
        clock[0] += later
        with structlog.testing.capture_logs() as logged:
            publisher.publish(events(batch))
        heard.append([(line["event"], line["queue"], line["log_level"]) for line in logged])

    full = [("events.queue_full", "gone", "warning")]
    assert heard == [[], [("events.queue_long", "gone", "warning")], full, full, []]


def test_a_bound_queue_that_is_no_list_holds_nobody_up(publisher, bind, events, client):
    bind("odd")
    other = bind("shop")
    client.set("odd", "somebody's own")

    with structlog.testing.capture_logs() as logged:
        published = publisher.publish(events(2))

    assert told(other) == [str(event.id) for event in published]
    assert [(line["event"], line["queue"]) for line in logged] == [("events.no_queue", "odd")]
    assert bound_queues(client)["odd"] == Bound(0, 0)


def test_a_full_redis_takes_the_whole_batch_or_nothing(publisher, bind, events, client):
    """
    The events wait in the outbox meanwhile; were a part of the batch taken, it would be told again with every try.
    """
    shop = bind("shop")
    limit = client.config_get("maxmemory")["maxmemory"]
    client.config_set("maxmemory", 1)
    try:
        with pytest.raises(BrokerAway):
            publisher.publish(batch := events(3))
    finally:
        client.config_set("maxmemory", limit)

    assert told(shop) == []
    publisher.publish(batch)
    assert told(shop) == [str(event.id) for event in batch]


def test_events_go_only_where_their_routing_key_leads(publisher, bind, events, client):
    bind("shipping", "payconfirm.confirmed")
    rejections = bind("crying", "payconfirm.rejected")

    publisher.publish(events(2))

    assert {name: queue.waiting for name, queue in bound_queues(client).items()} == {"crying": 2, "shipping": 0}
    assert len(told(rejections)) == 2
    assert not client.exists(MISSED)


def test_the_lag_says_how_many_wait_and_how_long(engine, events):
    outbox = Outbox(engine)
    assert outbox.lag() == (0, 0)

    batch = events(3)
    waiting, seconds = outbox.lag()
    assert waiting == 3
    assert 0 < seconds < 60

    outbox.mark_published(batch)
    assert outbox.lag() == (0, 0)


def test_a_scrape_sees_every_bound_queue_and_is_told_of_none_where_nobody_answers(bind, redis_url):
    bind("shop").channel.client.lpush("shop", "an event")

    assert BoundQueues(redis_url).read() == {"shop": Bound(1, 0)}
    assert BoundQueues("redis://127.0.0.1:1/0").read() == {}
    assert BoundQueues("amqp://127.0.0.1:1//").read() == {}
