"""Events through RabbitMQ: confirmed by it, in order for each receipt, nothing lost whatever becomes of the line."""

import json
import os
import time
from contextlib import ExitStack, closing
from uuid import uuid4

import pytest
import structlog
from kombu import Connection, Queue
from sqlalchemy import text

from config.settings import Role, Settings
from tests import ledgers
from tests.integration.amqp_line import line
from tests.workers import until
from worker import bootstrap
from worker.broker.queues import BrokerAway
from worker.relay.confirms import Confirms
from worker.relay.duties import publish_events
from worker.relay.events import EXCHANGE
from worker.store.ledger import Ledger
from worker.store.outbox import LEASE_SECONDS, Announcement

RABBITMQ = os.environ.get("AMQP_URL")
pytestmark = pytest.mark.skipif(not RABBITMQ, reason="AMQP_URL names no RabbitMQ")

SECOND = """
INSERT INTO payconfirm.outbox (id, receipt_id, sequence, type, document, at, result_due)
SELECT gen_random_uuid(), receipt_id, 2, 'payconfirm.voided', document || '{"sequence": 2, "state": "voided"}', at, true
FROM payconfirm.outbox WHERE receipt_id = ANY(:receipts) ORDER BY number
"""
WAITING = text("SELECT count(*) FROM payconfirm.outbox WHERE published_at IS NULL")
UNTOLD = text(
    "SELECT number, id, receipt_id, sequence, type, document, at FROM payconfirm.outbox"
    " WHERE published_at IS NULL ORDER BY number"
)
LEASED = text("SELECT count(*) FROM payconfirm.outbox WHERE leased_until > clock_timestamp()")


class Shop:
    """Receipts that end and end again, and a queue of this test's own that is told."""

    def __init__(self, engine, channel):
        self._engine, self._channel = engine, channel
        self._name = uuid4().hex
        self._queues = []
        self.receipts = []
        self._told = self.bind("payconfirm.*")

    def bind(self, routing_key, **arguments):
        queue = Queue(
            f"test-{self._name}-{len(self._queues)}", EXCHANGE, routing_key, durable=True, queue_arguments=arguments
        )
        bound = queue(self._channel)
        bound.declare()
        self._queues.append(bound)
        return bound

    def end(self, count):
        """End so many receipts, and end each of them once more: two events of each."""
        ledger, known = Ledger(self._engine), len(self.receipts)
        self.receipts += [f"{self._name}-{number}" for number in range(known, known + count)]
        for receipt_id in self.receipts[known:]:
            ledgers.rejected(ledger, ledgers.claimed(ledger, ledgers.order(receipt_id)))
        with self._engine.connect() as connection:
            connection.execute(text(SECOND), {"receipts": self.receipts[known:]})

    def untold(self):
        """Every event that isn't published yet, in order."""
        with self._engine.connect() as connection:
            return [Announcement(*row) for row in connection.execute(UNTOLD)]

    def told(self):
        """What this shop was told by now, in order: receipt, sequence and the event's id."""
        messages = iter(lambda: self._told.get(no_ack=True), None)
        events = [json.loads(message.body) for message in messages]
        mine = [event for event in events if event["subject"] in self.receipts]  # others may test at the same time
        return [(event["subject"], event["sequence"], event["id"]) for event in mine]

    def asked(self, statement):
        with self._engine.connect() as connection:
            return connection.execute(statement).scalar_one()

    def close(self):
        for queue in self._queues:
            queue.delete()


@pytest.fixture
def shop(engine):
    with Connection(RABBITMQ) as connection, closing(Shop(engine, connection.channel())) as shop:
        yield shop


@pytest.fixture
def wire():
    with line(RABBITMQ) as opened:
        yield opened


@pytest.fixture
def new_relay(database_url, redis_url):
    with ExitStack() as closing_all:

        def relay(url):
            settings = Settings(role=Role.OTHER, database_url=database_url, redis_url=redis_url, events_url=url)
            parts = bootstrap.build_relay(settings)
            closing_all.callback(parts.redis.close)
            closing_all.callback(parts.outbox._engine.dispose)
            closing_all.callback(parts.events.close)
            return parts

        yield relay


def first_times(told):
    """In which order each event came for the first time, and how many came again."""
    first = list(dict.fromkeys(told))
    return first, len(told) - len(first)


def whole_and_in_order(told, receipts):
    first, _ = first_times(told)
    of_each = {
        receipt_id: [sequence for subject, sequence, _ in first if subject == receipt_id] for receipt_id in receipts
    }
    return of_each == {receipt_id: [1, 2] for receipt_id in receipts}


def test_events_come_once_and_in_order_where_nothing_goes_wrong(shop, new_relay):
    shop.end(150)
    relay = new_relay(RABBITMQ)

    while publish_events(relay):
        pass

    told = shop.told()
    assert whole_and_in_order(told, shop.receipts)
    assert first_times(told)[1] == 0
    assert shop.asked(WAITING) == 0


def test_a_line_that_is_cut_again_and_again_loses_nothing_and_turns_nothing_round(shop, wire, new_relay):
    """
    What was confirmed before the cut is marked, so that it isn't told again with each cut.
    """
    wire.cut_after = 7
    shop.end(20)
    relays = [new_relay(wire.url), new_relay(wire.url)]

    def carried_out():
        for relay in relays:
            try:
                publish_events(relay)
            except BrokerAway:
                continue  # the duty rests and turns again
        return not shop.asked(WAITING)

    until(carried_out)
    told = shop.told()
    assert whole_and_in_order(told, shop.receipts)
    assert wire.published == len(told)


@pytest.mark.parametrize("when", ["from the first word", "in the middle"])
def test_a_rabbitmq_that_answers_nothing_holds_nobody_longer_than_a_lease(shop, wire, new_relay, when):
    shop.end(3)
    relay = new_relay(wire.url)
    if when == "in the middle":
        publish_events(relay)
        shop.end(3)
    wire.silent = True

    began = time.monotonic()
    with pytest.raises(BrokerAway, match="Timeout"):
        publish_events(relay)
    took = time.monotonic() - began

    assert took < LEASE_SECONDS
    assert (shop.asked(WAITING) > 0, shop.asked(LEASED)) == (True, 0)
    wire.silent = False
    while publish_events(relay):
        pass
    assert whole_and_in_order(shop.told(), shop.receipts)


def test_a_rabbitmq_out_of_memory_is_waited_for_in_the_outbox(shop, wire, new_relay):
    """
    It says so, and then reads nothing more.
    """
    shop.end(3)
    relay = new_relay(wire.url)
    wire.blocked = True

    with pytest.raises(BrokerAway):
        publish_events(relay)

    assert (shop.asked(WAITING), shop.asked(LEASED)) == (6, 0)
    wire.blocked = False
    while publish_events(relay):
        pass
    assert whole_and_in_order(shop.told(), shop.receipts)


def test_nobody_there_is_said_by_name(shop, new_relay):
    shop.end(1)

    with pytest.raises(BrokerAway, match="ConnectionRefusedError"):
        publish_events(new_relay("amqp://guest:guest@127.0.0.1:1//"))

    assert (shop.asked(WAITING), shop.asked(LEASED)) == (2, 0)


@pytest.mark.parametrize("guarded", [True, False], ids=["guarded", "control"])
def test_what_follows_a_refused_event_of_its_receipt_does_not_go_out(shop, new_relay, monkeypatch, guarded):
    """
    A queue that refuses (RabbitMQ's `reject-publish`) could take the second event after it has refused the first.

    The outbox hands out one event of a receipt at a time, so the publisher is given both by hand.
    """
    if not guarded:
        monkeypatch.setattr(Confirms, "before", all_at_once)
    full = shop.bind("payconfirm.rejected", **{"x-max-length": 1, "x-overflow": "reject-publish"})
    shop.end(2)
    relay = new_relay(RABBITMQ)

    first, *others = shop.untold()
    relay.events.publish([first])
    until(lambda: full.queue_declare(passive=True).message_count == 1)

    with structlog.testing.capture_logs() as logged:
        relay.events.publish(others)

    of_the_second = [sequence for subject, sequence, _ in shop.told() if subject == shop.receipts[1]]
    assert of_the_second == ([1] if guarded else [1, 2])
    assert [(line["event"], line["error"]) for line in logged] == [("events.cut_short", "Refused")]
    full.purge()
    until(lambda: publish_events(relay) and full.purge() >= 0 and not shop.asked(WAITING))


def all_at_once(self, event, taken):
    del taken
    self._sent += 1
    self._open[self._sent] = event
