"""Redis goes away under load and comes back, with its data or without: the same processes carry on by themselves.

One house stands through all of these tests: what one of them leaves broken, the next one finds.
"""

import os
import signal
import time

import pytest
import redis

from payconfirm import BrokerUnavailable
from sandbox.servers import start
from tests.crashes.traffic import (
    charges,
    flowing,
    messages,
    open_receipts,
    poll,
    post,
    programs,
    send,
    settled,
    states,
    stopped,
    told,
)
from tests.crashes.upkeep import Upkeep
from tests.houses import standing
from tests.workers import until

#: So many go by Celery, and so many by HTTP.
BY_CELERY, BY_HTTP = 90, 20
PER_SECOND = 30
BLIPS = 4
BROKEN = ("onnection to broker lost", "Cannot connect to")

#: How long nobody answers at Redis, and how long connections are refused then.
SILENT_SECONDS, REFUSED_SECONDS = 40, 20
#: So many are at the gateway, which takes so long, when Redis goes.
AT_WORK, SLOW_SECONDS = 8, 3
#: A wait by HTTP looks at the row this often without being told, and a machine may be busy.
LOOK_SECONDS = 15
#: How long Redis is full.
FULL_SECONDS = 3
#: What waited in its row is final so soon after Redis is back.
BACK_SECONDS = 15


@pytest.fixture(scope="module")
def servers_of_its_own(tmp_path_factory):
    with start(tmp_path_factory.mktemp("redis-lost") / "servers") as servers:
        yield servers


@pytest.fixture(scope="module")
def house(servers_of_its_own, tmp_path_factory):
    """At the end nothing is left over, and everything adds up."""
    with standing(servers_of_its_own, tmp_path_factory.mktemp("redis-lost-house")) as house:
        yield house
        until(lambda: not messages(house))
        house.check()
        house.run("python", "-m", "worker", "audit", "--gateway")


@pytest.mark.timeout(240)
def test_a_minute_without_redis_costs_no_receipt_and_nobody_hangs_spins_or_ends(servers_of_its_own, house):
    """
    First nobody answers, which is harder, then connections are refused. What is at work ends meanwhile, and its
    acknowledgement finds nobody: a worker must neither end over that nor stay busy with it.
    """
    server = servers_of_its_own.redis
    at_work, by_celery = open_receipts(house, AT_WORK), open_receipts(house, BY_CELERY)
    silent, refused = open_receipts(house, SILENT_SECONDS), open_receipts(house, REFUSED_SECONDS)
    have_at_the_gateway(house, at_work)
    upkeep = Upkeep(programs(house, "relay", "worker", "web"))

    os.kill(server.pid, signal.SIGSTOP)
    with flowing(house, by_celery, PER_SECOND) as (_, accepted):
        hand_in_one_a_second(house, silent)
        assert poll(house, at_work[0], wait=LOOK_SECONDS)["state"] == "confirmed"
        assert poll(house, silent[0], wait=1)["state"] == "received"
        server.kill()
        hand_in_one_a_second(house, refused)
        assert settled(house, at_work)
        assert set(states(house, silent + refused).values()) == {"received"}
        assert upkeep.too_much() == {}
        server.start()
        back_at = time.monotonic()

    until(lambda: settled(house, silent + refused))
    assert time.monotonic() - back_at < BACK_SECONDS
    until(lambda: settled(house, by_celery))
    house.check()
    assert len(accepted) == BY_CELERY
    assert charges(house, at_work + by_celery + silent + refused) == {1}
    until(lambda: told(house, at_work + silent + refused))


def test_all_that_came_by_http_ends_after_redis_came_back_empty(servers_of_its_own, house):
    """What only Redis had is gone without a word; sent again it ends as well."""
    server = servers_of_its_own.redis
    by_celery, before, meanwhile = (open_receipts(house, count) for count in (BY_CELERY, BY_HTTP, BY_HTTP))

    with flowing(house, by_celery, PER_SECOND) as (at_work, _):
        hand_in(house, before)
        at_work.wait()
        server.kill()
        hand_in(house, meanwhile)
        until(lambda: all(any(sign in worker.said for sign in BROKEN) for worker in programs(house, "worker")))
        server.wipe()
        server.start()

    with_a_row = [document for document in by_celery if document["receipt_id"] in states(house, by_celery)]
    until(lambda: settled(house, before + meanwhile + with_a_row))
    send(house, by_celery)
    until(lambda: settled(house, by_celery))
    house.check()
    assert charges(house, by_celery + before + meanwhile) == {1}
    until(lambda: told(house, by_celery + meanwhile))


def test_every_connection_cut_several_times_costs_nothing(house):
    documents = open_receipts(house, BY_CELERY)

    with redis.Redis.from_url(house.addresses.redis_url) as client, flowing(house, documents, PER_SECOND) as (work, _):
        work.wait()
        for _ in range(BLIPS):
            before = len(states(house, documents))
            client.client_kill_filter(_type="normal", skipme=True)
            until(lambda before=before: len(states(house, documents)) > before or settled(house, documents))

    until(lambda: settled(house, documents))
    house.check()
    assert charges(house, documents) == {1}
    assert any(BROKEN[0] in worker.said for worker in programs(house, "worker"))


def test_a_full_redis_lets_what_fills_it_be_taken_and_all_else_waits_in_its_row(house):
    """
    The very messages that wait may be what fills it: were they not taken, it would be full for ever.
    """
    in_redis, by_http, (refused,) = (open_receipts(house, count) for count in (BY_HTTP, BY_HTTP, 1))

    with redis.Redis.from_url(house.addresses.redis_url) as client:
        with stopped(programs(house, "worker")):
            send(house, in_redis)
            client.config_set("maxmemory", 1)
            client.client_kill_filter(_type="normal", skipme=True)  # all of them connect while it is full
        hand_in(house, by_http)
        with pytest.raises(BrokerUnavailable):
            send(house, [refused])
        until(lambda: settled(house, in_redis))
        upkeep = Upkeep(programs(house, "relay", "worker", "web"))
        time.sleep(FULL_SECONDS)  # for so long they must bear it
        assert upkeep.too_much() == {}
        assert set(states(house, by_http).values()) == {"received"}
        client.config_set("maxmemory", 0)
    back_at = time.monotonic()

    send(house, [refused])
    until(lambda: settled(house, [*in_redis, *by_http, refused]))
    assert time.monotonic() - back_at < BACK_SECONDS
    house.check()
    assert charges(house, [*in_redis, *by_http, refused]) == {1}
    until(lambda: told(house, [*in_redis, *by_http, refused]))


def have_at_the_gateway(house, documents):
    """Have all of these wait for the gateway's word on their approval."""
    fault = {"call": "approve", "fault": "hang", "seconds": SLOW_SECONDS, "times": 0}
    house.control("POST", "/sandbox/faults", fault)
    send(house, documents)
    until(lambda: [*states(house, documents).values()] == ["submitting"] * len(documents))
    house.control("DELETE", "/sandbox/faults")


def hand_in(house, documents):
    """Post these; each is accepted."""
    for document in documents:
        assert post(house, document) == 202


def hand_in_one_a_second(house, documents):
    for document in documents:
        began = time.monotonic()
        hand_in(house, [document])
        time.sleep(max(0.0, began + 1 - time.monotonic()))
