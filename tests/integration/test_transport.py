"""The guarded transport on a Redis that refuses: nothing is lost, nothing is asked in a hurry."""

from contextlib import contextmanager
from functools import partial
from unittest.mock import create_autospec

import pytest
import redis
from kombu import Connection, Consumer, Queue
from kombu.transport.redis import Transport as PlainTransport
from redis.exceptions import ConnectionError as NotConnected
from structlog.testing import capture_logs

from tests.workers import QUEUE, TAKEN, item
from worker.broker.scripts import PREFIX
from worker.broker.transport import WAIT_SECONDS, Channel, QoS, Transport

#: So long a consumer without work waits.
DRAIN_SECONDS = 3 * WAIT_SECONDS


@pytest.fixture
def client(redis_url):
    with redis.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def received():
    return []


@pytest.fixture
def consumer(redis_url, received):
    with Connection(redis_url, transport=Transport) as connection:
        consumer = Consumer(connection.channel(), [Queue(QUEUE)], on_message=received.append, prefetch_count=8)
        consumer.consume()
        yield consumer


def take(consumer, received, number):
    while len(received) < number:
        consumer.connection.drain_events(timeout=10)


@contextmanager
def refusing(client, setting="min-replicas-to-write"):
    """Have Redis refuse every write, as one that has lost its replicas may, or those that this setting forbids."""
    client.config_set(setting, 1)
    try:
        yield
    finally:
        client.config_set(setting, 0)


def held(client):
    return [client.llen(key) for key in client.scan_iter(TAKEN) if client.type(key) == b"list"]


def test_an_acknowledgement_that_redis_refuses_is_made_good_with_the_next_sign_of_life(client, consumer, received):
    """
    Else its message would stay in Redis for as long as the worker lives, and come back then.
    """
    client.lpush(QUEUE, *(item(number) for number in range(3)))
    take(consumer, received, 3)

    with refusing(client):
        for message in received:
            message.ack()
        consumer.channel.qos.restore_visible()
        assert held(client) == [3]
        assert not consumer.channel.qos._delivered.keys() - consumer.channel.qos._dirty

    consumer.channel.qos.restore_visible()
    assert held(client) == []


def test_while_redis_is_silent_only_the_first_of_many_acknowledgements_waits_for_it(client, consumer, received):
    """
    A worker at work on 32 would do nothing else for minutes: neither take messages elsewhere, nor end.
    """
    client.lpush(QUEUE, *(item(number) for number in range(8)))
    take(consumer, received, 8)
    asked = create_autospec(client)
    asked.lrem.side_effect = NotConnected
    consumer.channel._create_client = lambda **_: asked

    for message in received:
        message.ack()

    assert asked.lrem.call_count == 1


def test_a_refusal_is_sat_out_on_the_same_connection_and_told_once(client, consumer, received):
    """
    A reconnect for each would be many in a second, and Redis has only so many connections.
    """
    before = connections(client)
    client.config_resetstat()
    with refusing(client), capture_logs() as logs:
        with pytest.raises(TimeoutError):
            consumer.connection.drain_events(timeout=DRAIN_SECONDS)
        tries = client.info("commandstats")["cmdstat_eval"]
        assert connections(client) == before
    assert [line["event"] for line in logs] == ["broker.refuses"]
    assert tries["calls"] <= 4 * DRAIN_SECONDS / WAIT_SECONDS

    client.lpush(QUEUE, item("the next"))
    take(consumer, received, 1)


def test_messages_are_taken_from_a_full_redis(client, consumer, received):
    """
    They may be what fills it. Without work it waits here, too.
    """
    client.lpush(QUEUE, *(item(number) for number in range(3)))

    with refusing(client, "maxmemory"):
        take(consumer, received, 3)
        with pytest.raises(TimeoutError):
            consumer.connection.drain_events(timeout=DRAIN_SECONDS)
        consumer.channel.qos.restore_visible()
        assert [key for key in client.scan_iter(TAKEN) if b":alive:" in key]
        for message in received:
            message.ack()
    assert held(client) == []


@pytest.mark.parametrize("priority", range(10))
def test_a_message_is_taken_whatever_priority_its_producer_gave_it(client, consumer, received, redis_url, priority):
    """
    kombu puts it into a list beside the queue's own, in which nobody would ever look.
    """
    with Connection(redis_url, transport=PlainTransport) as plain:
        plain.Producer().publish({"a": 1}, routing_key=QUEUE, priority=priority)
    assert consumer.channel._size(QUEUE) == 1

    take(consumer, received, 1)
    received[0].requeue()
    assert (consumer.channel._size(QUEUE), held(client)) == (1, [])
    take(consumer, received, 2)
    received[1].ack()

    assert (consumer.channel._size(QUEUE), held(client)) == (0, [])


def test_what_a_dead_worker_held_goes_back_to_the_list_of_its_priority(client, consumer, received, redis_url):
    aside = f"{QUEUE}\x06\x169"
    client.lpush(aside, item(1))
    with Connection(redis_url, transport=Transport) as dead:
        taker = Consumer(dead.channel(), [Queue(QUEUE)], on_message=received.append)
        taker.consume()
        take(taker, received, 1)
        taker.channel._silent = True  # it gives nothing back as it ends
    (alive,) = client.keys(f"{PREFIX}:alive:*{taker.channel._owner}")
    client.delete(alive)

    consumer.channel.qos.restore_visible()

    assert client.llen(aside) == 1


def test_how_many_wait_is_asked_without_a_transaction(client, consumer):
    """
    It is asked as a worker connects, and a full Redis refuses even reading inside one, up to 7.0.
    """
    client.lpush(QUEUE, item(1), item(2))
    client.config_resetstat()

    assert consumer.channel.queue_declare(QUEUE).message_count == 2

    assert "cmdstat_multi" not in client.info("commandstats")


def connections(client):
    return sorted(entry["id"] for entry in client.client_list())


def test_an_acknowledgement_that_redis_did_not_hear_frees_the_place_of_its_message():
    """Else a worker that lost a few of them would wait for ever, and look as if it had nothing to do."""
    channel = create_autospec(Channel, instance=True)
    channel.let_go.side_effect = channel.put_back.side_effect = channel.give_up.side_effect = NotConnected
    guarded = QoS(channel, prefetch_count=1)

    for end in (guarded.ack, guarded.reject, partial(guarded.reject, requeue=True)):
        guarded.append("a message", "its tag")
        assert not guarded.can_consume()
        with pytest.raises(NotConnected):
            end("its tag")
        assert guarded.can_consume()
