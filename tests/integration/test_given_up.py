"""What comes back from dead workers on Redis is counted, given up in time, and nothing good is lost by it."""

import base64
from contextlib import contextmanager
from unittest.mock import patch

import pytest
import redis
from kombu import Connection, Consumer, Queue

from config.celery import DEAD, RETURN_LIMIT
from config.settings import Role, Settings
from tests.workers import QUEUE, envelope, item
from worker.bootstrap import build_relay
from worker.broker import dead
from worker.broker.dead import READ_BYTES
from worker.broker.envelopes import KEPT_BYTES, LARGEST_BYTES
from worker.broker.queues import BrokerAway
from worker.broker.scripts import PREFIX, RETURNED
from worker.broker.transport import Transport
from worker.store.dead_letters import DeadLetters
from worker.store.reading import Reading

DOCUMENT = {"receipt_id": "5afd6be8e13f33616f2876ac", "order_id": "order-1", "amount": 3000}
AGAIN = {"headers": envelope()["headers"] | {"task": "payconfirm.again"}}


class Worker:
    """As much of a worker as takes messages, and finds what dead ones held."""

    def __init__(self, url):
        self._connection = Connection(url, transport=Transport)
        self.received = []
        self.consumer = Consumer(
            self._connection.channel(), [Queue(QUEUE)], on_message=self.received.append, prefetch_count=8
        )
        self.consumer.consume()

    def take(self, number):
        while len(self.received) < number:
            self._connection.drain_events(timeout=10)

    def looks(self):
        self.consumer.channel.qos.restore_visible()

    def close(self):
        self._connection.close()


@pytest.fixture
def client(redis_url):
    with redis.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def worker(redis_url):
    worker = Worker(redis_url)
    yield worker
    worker.close()


@pytest.fixture
def given_up(database_url, redis_url):
    given_up = build_relay(Settings(role=Role.OTHER, database_url=database_url, redis_url=redis_url)).given_up
    yield given_up
    given_up.close()


@pytest.fixture
def letters(engine):
    return DeadLetters(engine)


def hold(client, *items):
    """Be a worker that died with these in its hands, the first taken first."""
    client.hset(f"{PREFIX}:owners", "dead", QUEUE)
    client.lpush(f"{PREFIX}:dead:{QUEUE}", *items)


def kill_workers(client, worker, times):
    """As many workers as that take all there is and die."""
    for _ in range(times):
        hold(client, *reversed(client.lrange(QUEUE, 0, -1)))
        client.delete(QUEUE)
        worker.looks()


def counts(client):
    return [*map(int, client.hvals(RETURNED))]


@contextmanager
def full(client):
    client.config_set("maxmemory", 1)
    try:
        yield
    finally:
        client.config_set("maxmemory", 0)


def raw_of(letters):
    return {base64.b64decode(letter["raw_base64"]): letter["reason"] for letter in letters.newest()}


def test_what_came_back_too_often_is_given_up_and_forgotten(client, worker):
    client.lpush(QUEUE, b"first", b"second")

    kill_workers(client, worker, RETURN_LIMIT - 1)
    assert client.lrange(QUEUE, 0, -1) == [b"second", b"first"]
    assert counts(client) == [RETURN_LIMIT - 1] * 2
    assert client.ttl(RETURNED) > 0
    kill_workers(client, worker, 1)

    assert client.lrange(QUEUE, 0, -1) == []
    assert sorted(client.lrange(DEAD, 0, -1)) == [b"first", b"second"]
    assert counts(client) == []


def test_an_acknowledgement_ends_the_count(client, worker):
    """
    Else the same document, sent again and again over a day, would be given up for another one's deaths.
    """
    client.lpush(QUEUE, item(1), item(2))
    kill_workers(client, worker, 1)
    client.lpush(QUEUE, item("never came back"))
    worker.take(3)
    assert counts(client) == [1, 1]

    for message in worker.received[:2]:
        message.ack()

    assert counts(client) == []


def test_what_a_task_rejects_for_good_is_given_up_at_once(client, worker):
    """
    As on RabbitMQ: nothing would be left of it else.
    """
    first, second = item(1), item(2)
    client.lpush(QUEUE, first, second)
    worker.take(2)

    for message in worker.received:
        message.reject()

    assert client.lrange(DEAD, 0, -1) == [second, first]
    assert not worker.consumer.channel.qos._delivered.keys() - worker.consumer.channel.qos._dirty
    assert client.keys(f"{PREFIX}:*:{QUEUE}") == []


def test_what_is_rejected_after_it_came_back_is_forgotten_too(client, worker):
    client.lpush(QUEUE, item(1))
    kill_workers(client, worker, 1)
    worker.take(1)
    assert counts(client) == [1]

    worker.received[0].reject()

    assert counts(client) == []


def test_what_a_worker_gives_back_itself_is_not_counted(client, worker):
    client.lpush(QUEUE, item(1))
    worker.take(1)

    worker.received[0].requeue()

    assert client.llen(QUEUE) == 1
    assert counts(client) == []


def test_a_full_redis_gives_back_and_gives_up(client, worker):
    client.lpush(QUEUE, item(1))

    for times in range(RETURN_LIMIT):
        hold(client, *client.lrange(QUEUE, 0, -1))
        client.delete(QUEUE)
        with full(client):
            worker.looks()
        assert client.llen(QUEUE) == (times < RETURN_LIMIT - 1)

    assert client.llen(DEAD) == 1


def test_what_cannot_be_counted_goes_back(client, worker):
    client.set(RETURNED, "somebody's own")
    client.lpush(QUEUE, item(1), item(2))

    kill_workers(client, worker, RETURN_LIMIT)

    assert client.llen(QUEUE) == 2
    worker.take(2)


def test_what_is_too_large_is_given_up_before_a_worker_is_sent_it(client, worker):
    client.lpush(QUEUE, b"x" * (LARGEST_BYTES + 1), b"y" * (LARGEST_BYTES + 2), item(1))

    worker.take(1)

    assert client.llen(QUEUE) == 0
    assert client.llen(DEAD) == 2
    assert client.llen(f"{PREFIX}:{worker.consumer.channel._owner}:{QUEUE}") == 1


def test_a_good_document_gets_its_row_and_the_rest_is_kept_with_its_bytes(client, engine, given_up, letters):
    """
    The good one was taken, again and again, together with what ended its workers.
    """
    known, unknown = item(DOCUMENT["receipt_id"], **AGAIN), item("nobody-knows", **AGAIN)
    bad = item(DOCUMENT | {"receipt_id": "other", "amount": 1.5})
    client.lpush(DEAD, b"\xff", item(DOCUMENT), bad, known, unknown)

    given_up.turn()

    assert client.exists(DEAD) == 0
    assert Reading(engine).result(DOCUMENT["receipt_id"])["state"] == "received"
    reasons = raw_of(letters)
    assert reasons.keys() == {b"\xff", bad, unknown}
    assert "amount" in reasons[bad]
    assert {letter["receipt_id"] for letter in letters.newest()} == {None, "other"}
    assert all("its worker ended" in reason for reason in reasons.values())


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (READ_BYTES + 1, (READ_BYTES + 1, "1,048,577 bytes")),
        (LARGEST_BYTES + 1, (KEPT_BYTES, "only its first 1,048,576 are kept")),
    ],
)
def test_the_relay_does_not_read_what_is_large(client, given_up, letters, size, expected):
    """
    Reading it may be what ended the workers, and there is no other relay behind this one.
    """
    kept, why = expected
    client.lpush(DEAD, b"[" * size)

    with patch("worker.broker.dead.parts", autospec=True) as read:
        given_up.turn()

    ((raw, reason),) = raw_of(letters).items()
    assert raw == b"[" * kept
    assert why in reason
    assert not read.called
    assert client.exists(DEAD) == 0


def test_what_was_kept_and_not_removed_is_kept_once(client, given_up, letters, monkeypatch):
    """The relay died between the two; the next message isn't removed in its place."""
    client.lpush(DEAD, b"pay please", b"and me")
    with monkeypatch.context() as dying:
        dying.setattr(dead, "REMOVE_DEAD", "return redis.error_reply('it died')")
        with pytest.raises(BrokerAway):
            given_up.turn()
    assert client.llen(DEAD) == 2

    given_up.turn()

    assert raw_of(letters).keys() == {b"pay please", b"and me"}
    assert len(letters.newest()) == 2


def test_two_relays_at_once_remove_nothing_that_neither_kept(client, redis_url):
    client.lpush(DEAD, b"first", b"second")
    with Connection(redis_url, transport=Transport) as connection:
        first, other = (next(dead.from_redis(connection)) for _ in range(2))

        first.acknowledge()
        other.acknowledge()

    assert first.raw == other.raw == b"first"
    assert client.lrange(DEAD, 0, -1) == [b"second"]
