"""A replica takes over that hadn't received everything: locks are gone, and messages. Nothing with a row is."""

import base64
import json
from collections import Counter
from contextlib import ExitStack

import pytest
from kombu import Connection, Consumer, Queue
from redis.exceptions import ConnectionError as NotConnected
from redis.exceptions import ReadOnlyError

from config.settings import Role, Settings
from tests.crashes.detour import detour
from tests.crashes.traffic import stopped
from tests.sentinels import Node
from tests.workers import QUEUE, item, stage, until
from worker.app import sender_app
from worker.broker.queues import Sender
from worker.broker.redis import make_redis
from worker.broker.transport import Transport

#: So many are at the gateway, which takes so long, when the primary dies: long enough for every second copy to be met
#: meanwhile, shorter than the submit's deadline.
AT_WORK, SLOW_SECONDS = 8, 10
LOCKS = "payconfirm:lock:*"


@pytest.fixture
def nodes(tmp_path):
    """A primary, and a replica that follows it."""
    with ExitStack() as stopping:
        primary, replica = (Node(tmp_path / name, stopping) for name in ("primary", "replica"))
        replica.follow(primary)
        yield primary, replica


@pytest.fixture
def address(nodes):
    """Where everybody but the test reaches Redis."""
    with detour(nodes[0].server.port) as address:
        yield address


@pytest.fixture
def house(servers, template_database, tmp_path, nodes, address):
    url = url_at(address, nodes[0])
    with stage(servers, template_database, tmp_path, url, WORKER_CONCURRENCY=str(2 * AT_WORK)) as built:
        built.start_gateway()
        yield built


def test_after_a_failover_that_lost_the_locks_every_second_copy_is_met_by_the_lease(house, nodes, address):
    primary, replica = nodes
    house.start("relay", house.lines["relay"])
    workers = [house.ready_worker(), house.ready_worker()]
    received, missed, (unread,) = (house.open_receipts(number) for number in (AT_WORK // 2, AT_WORK // 2, 1))
    slow = {"call": "approve", "fault": "hang", "seconds": SLOW_SECONDS, "times": 0}
    house.control("POST", "/sandbox/faults", slow)

    with stopped(workers):
        house.push(*map(item, received))
        until(lambda: replica.client.llen(QUEUE) == len(received))
        replica.client.replicaof("NO", "ONE")  # it receives nothing more
    house.push(*map(item, missed))
    until(lambda: Counter(house.states().values()) == {"submitting": AT_WORK})
    with stopped(workers):
        house.push(item(unread))
        assert [len(node.client.keys(LOCKS)) for node in nodes] == [AT_WORK, 0]
        primary.server.kill()
        address.leads_to(replica.server.port)

    house.push(*map(item, received + missed))
    until(lambda: not house.left_over())
    assert Counter(house.states().values()) == {"submitting": AT_WORK}

    house.control("DELETE", "/sandbox/faults")
    until(lambda: house.confirmed(*received, *missed))
    assert set(charges_and_approvals(house, received + missed)) == {(1, 1)}
    claims = "SELECT receipt_id, count(DISTINCT fence) FROM payconfirm.steps GROUP BY 1"
    assert {number for _, number in house.ask(claims)} == {1}

    assert unread["receipt_id"] not in house.states()  # only the primary had it; its producer sends it again
    house.push(item(unread))
    until(lambda: house.confirmed(unread) and not house.left_over())
    for worker in workers:
        worker.check()


def test_who_meets_a_primary_that_became_a_replica_connects_anew(nodes, address):
    """Its connections stay open, and would refuse every write for ever; only new ones lead to the primary of today."""
    primary, replica = nodes
    url = url_at(address, primary)
    settings = Settings(role=Role.OTHER, database_url="postgresql://127.0.0.1:1/x", redis_url=url)
    client, sender = make_redis(url), Sender(sender_app(settings))
    assert client.set("kept", "by the old one")
    sender.again("by the old one", None)
    with Connection(url, transport=Transport) as connection, Consumer(connection.channel(), [Queue(QUEUE)]) as consumer:
        consumer.on_message = lambda _: None
        connection.drain_events(timeout=10)

        replica.client.replicaof("NO", "ONE")
        primary.client.replicaof("127.0.0.1", 1)
        address.leads_to(replica.server.port)

        with pytest.raises(NotConnected):
            drain_for_ever(connection)
    with pytest.raises(ReadOnlyError):
        client.set("kept", "by the new one")
    assert client.set("kept", "by the new one")
    sender.again("by the new one", None)

    assert replica.client.get("kept") == b"by the new one"
    assert b"by the new one" in base64.b64decode(json.loads(replica.client.lindex(QUEUE, 0))["body"])


def drain_for_ever(connection):
    while True:
        connection.drain_events(timeout=10)


def url_at(address, node):
    return node.server.url.replace(f":{node.server.port}/", f":{address.port}/")


def charges_and_approvals(house, documents):
    ledger = house.control("GET", "/sandbox/ledger")["receipts"]
    accounts = [ledger[document["receipt_id"]] for document in documents]
    return [(account["charges"], account["calls"]["approve"]) for account in accounts]
