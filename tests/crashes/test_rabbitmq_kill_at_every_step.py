"""A worker over RabbitMQ is killed at every moment of the way that goes well, its message there twice: all ends well.

The same as on Redis with a chosen few of the places: what is different is who gives its messages back, and when.
"""

import json
from contextlib import ExitStack

import amqp
import pytest

from tests.crashes.aftermath import check, look_at
from tests.crashes.ground import APPROVE_SECONDS, LOOKUP_SECONDS, SHORT, WATCHED, Ground, Notes, queue_of
from tests.crashes.test_kill_at_every_step import SLOW_APPROVAL_SECONDS
from tests.crashes.ways import WELL, places
from tests.crashes.wire import wire_to
from tests.crashes.zygote import zygote
from tests.rabbits import RabbitStage, message, needs_rabbitmq, opened, virtual_host
from tests.workers import QUEUE, stage

pytestmark = [needs_rabbitmq, pytest.mark.timeout(300)]

PLACES = [place for place in places() if place.way is WELL and place.lost is None]


class RabbitGround(Ground):
    """The ground, with the queues of watched workers in RabbitMQ."""

    def watch(self, who, receipt, at=None):
        queue = queue_of(receipt)
        with opened(self.house.broker_url) as channel:
            quorum = {"x-queue-type": "quorum"}
            channel.queue_declare(queue, durable=True, auto_delete=False, arguments=quorum)
        self.house.publish(*[message(receipt.document)] * 2, queue=queue)
        told = {"who": who, "notes": str(self.notes.path), "at": at}
        variables = {"WATCH": json.dumps(told), "QUEUE": queue, "WORKER_CONCURRENCY": "1"}
        words = ["watched" if word == "worker.app" else word for word in self.house.lines["worker"]]
        words[words.index("--queues") + 1] = queue
        worker = self._forks.fork(f"{queue}-{next(self._numbers)}", words, self.environment | variables)
        if at[1] in ("working", "acted"):
            self.wire.when(receipt.id, at[0], at[2], at[1], lambda: self._stop(who, worker, at))
        return worker

    def bequeath(self, receipts):
        """Give what dead workers held back to the queue of all; say how many messages each had."""
        left = {}
        with opened(self.house.broker_url) as channel:
            for receipt in receipts:
                queue, left[receipt.id] = f"{WATCHED}{receipt.sku}", 0
                while found := channel.basic_get(queue):
                    again = amqp.Message(found.body, **found.properties)
                    channel.basic_publish_confirm(again, routing_key=QUEUE, mandatory=True)
                    channel.basic_ack(found.delivery_tag)
                    left[receipt.id] += 1
        return left

    def inherit(self):
        """Nothing: it was bequeathed."""


@pytest.fixture(scope="module")
def aftermath(servers, template_database, tmp_path_factory):
    folder = tmp_path_factory.mktemp("rabbitmq-killed")
    with ExitStack() as stack:
        url = stack.enter_context(virtual_host())
        variables = SHORT | {"BROKER_URL": url, "EVENTS_URL": servers.addresses.redis_url}
        house = stack.enter_context(stage(servers, template_database, folder, kind=RabbitStage, **variables))
        house.start_gateway(LOOKUP_SECONDS, APPROVE_SECONDS)
        wire = stack.enter_context(wire_to(house._gateway_url))
        forks = stack.enter_context(zygote(folder))
        notes = Notes(folder / "notes")
        stack.callback(notes.close)
        ground = RabbitGround(house, wire, forks, notes)
        ground.start("relay")
        receipts = dict(zip(PLACES, ground.open_receipts([WELL] * len(PLACES)), strict=True))
        for _, worker, _ in ground.at_their_places(PLACES, lambda place: start(ground, place, receipts[place])):
            worker.kill()
        left = ground.bequeath(receipts.values())
        ground.start("worker", WORKER_CONCURRENCY="8")
        ground.wait_for_all([*receipts.values()])
        found = look_at(ground, [*receipts.values()])
        yield {
            place: (str(place) in notes.reached, left[receipt.id], found[receipt.id])
            for place, receipt in receipts.items()
        }


def start(ground, place, receipt):
    if (place.passage, place.moment) == ("submit", "working"):
        slow = {"call": "approve", "fault": "slow_approval", "seconds": SLOW_APPROVAL_SECONDS}
        ground.house.control("POST", "/sandbox/faults", slow | {"receipt_id": receipt.id})
    return ground.watch(str(place), receipt, [place.passage, place.moment, place.nth])


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_all_is_well_after_a_worker_was_killed(place, aftermath):
    reached, left, found = aftermath[place]

    assert reached, "it never came to where it should die"
    assert left >= 1, "RabbitMQ didn't give back what was not acknowledged"
    check(WELL, found)
