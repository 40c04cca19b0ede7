"""Redis goes away under load and comes back, with its data or without: the same processes carry on by themselves."""

import threading
import time
from contextlib import closing
from functools import partial
from unittest.mock import create_autospec

import psycopg2
import pytest
import redis
import requests
from redis.exceptions import ConnectionError as NotConnected

import payconfirm
from payconfirm import BrokerUnavailable
from sandbox.servers import start
from tests.houses import standing
from tests.workers import QUEUE, until
from worker.broker.transport import Channel, QoS

#: So many go by Celery, and so many by HTTP while Redis is away.
BY_CELERY, BY_HTTP = 90, 20
PER_SECOND = 30
#: A POST waits for nothing that is away.
POST_SECONDS = 5
BLIPS = 4
#: So many are at the gateway, which takes so long, when Redis goes.
AT_WORK, SLOW_SECONDS = 8, 2
BROKEN = ("onnection to broker lost", "Cannot connect to")


@pytest.fixture
def servers_of_its_own(tmp_path):
    with start(tmp_path / "servers") as servers:
        yield servers


@pytest.fixture
def house(servers_of_its_own, tmp_path):
    with standing(servers_of_its_own, tmp_path) as house:
        yield house


@pytest.mark.parametrize("kept", [True, False], ids=["with its data", "empty"])
def test_all_that_has_a_row_ends_after_redis_was_away_and_came_back(kept, servers_of_its_own, house):
    server = servers_of_its_own.redis
    documents = open_receipts(house, BY_CELERY + BY_HTTP)
    by_celery, by_http = documents[:BY_CELERY], documents[BY_CELERY:]

    with flowing(house, by_celery) as (at_work, accepted):
        at_work.wait()
        server.kill()
        for document in by_http:
            assert post(house, document) == 202
        until(lambda: all(any(sign in worker.said for sign in BROKEN) for worker in workers(house)))
        if not kept:
            server.wipe()
        server.start()

    until(lambda: settled(house, by_http))
    until(lambda: not unfinished(house) and not messages(house))
    house.check()
    known = states(house)
    assert not kept or accepted <= set(known)
    assert set(known.values()) == {"confirmed"}
    assert charges(house, known) == {1}
    house.run("python", "-m", "worker", "audit", "--gateway")


def test_what_is_at_work_when_redis_goes_ends_without_it(servers_of_its_own, house):
    """Its acknowledgement finds nobody; the worker must neither end over that nor work on it for ever."""
    documents = open_receipts(house, AT_WORK)
    house.control("POST", "/sandbox/faults", {"call": "approve", "fault": "hang", "seconds": SLOW_SECONDS, "times": 0})
    with payconfirm.Client.from_url(house.addresses.redis_url) as client:
        for document in documents:
            client.enqueue(document)
    until(lambda: [*states(house).values()] == ["submitting"] * AT_WORK)

    servers_of_its_own.redis.kill()
    until(lambda: settled(house, documents))
    servers_of_its_own.redis.start()

    until(lambda: not messages(house))
    house.check()
    assert charges(house, states(house)) == {1}


def test_every_connection_cut_several_times_costs_nothing(house):
    documents = open_receipts(house, BY_CELERY)

    with redis.Redis.from_url(house.addresses.redis_url) as client, flowing(house, documents) as (at_work, _):
        at_work.wait()
        for _ in range(BLIPS):
            before = len(states(house))
            client.client_kill_filter(_type="normal", skipme=True)
            until(lambda before=before: len(states(house)) > before or len(states(house)) == len(documents))

    until(lambda: settled(house, documents))
    until(lambda: not messages(house))
    house.check()
    assert charges(house, states(house)) == {1}
    assert any(BROKEN[0] in worker.said for worker in workers(house))
    house.run("python", "-m", "worker", "audit", "--gateway")


def test_an_acknowledgement_that_redis_did_not_hear_frees_the_place_of_its_message():
    """Else a worker that lost a few of them would wait for ever, and look as if it had nothing to do."""
    channel = create_autospec(Channel, instance=True)
    channel.let_go.side_effect = channel.put_back.side_effect = NotConnected
    guarded = QoS(channel, prefetch_count=1)

    for give_up in (guarded.ack, guarded.reject, partial(guarded.reject, requeue=True)):
        guarded.append("a message", "its tag")
        assert not guarded.can_consume()
        with pytest.raises(NotConnected):
            give_up("its tag")
        assert guarded.can_consume()


class flowing:  # noqa: N801 — reads as a sentence
    """While it lasts, documents are sent by Celery, each until the broker has it; at the end all of them are."""

    def __init__(self, house, documents):
        self._house, self._documents = house, documents
        self._at_work, self._accepted = threading.Event(), set()
        self._sending = threading.Thread(target=self._send_all)

    def __enter__(self):
        self._sending.start()
        return self._at_work, self._accepted

    def __exit__(self, *_):
        self._sending.join()

    def _send_all(self):
        with payconfirm.Client.from_url(self._house.addresses.redis_url) as client:
            for number, document in enumerate(self._documents):
                self._send(client, document)
                if number == len(self._documents) // 3:
                    self._at_work.set()
                time.sleep(1 / PER_SECOND)

    def _send(self, client, document):
        while True:
            try:
                client.enqueue(document)
            except BrokerUnavailable:
                continue
            self._accepted.add(document["receipt_id"])
            return


def open_receipts(house, count):
    wanted = [{"order_id": f"order {number}", "price": 3000} for number in range(count)]
    opened = house.control("POST", "/sandbox/receipts", wanted)["receipt_ids"]
    return [
        {"receipt_id": receipt_id, "order_id": receipt["order_id"], "amount": 3000}
        for receipt_id, receipt in zip(opened, wanted, strict=True)
    ]


def post(house, document):
    headers = {"Authorization": f"Bearer {house.keys.api}"}
    url = f"{house.web_url}/v1/confirmations"
    return requests.post(url, json=document, headers=headers, timeout=POST_SECONDS).status_code


def workers(house):
    return [program for program in house._programs if program.name.startswith("worker")]


def states(house):
    with closing(psycopg2.connect(house.addresses.database_url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT receipt_id, state FROM payconfirm.confirmations")
        return dict(cursor.fetchall())


def unfinished(house):
    return [receipt_id for receipt_id, state in states(house).items() if state != "confirmed"]


def settled(house, documents):
    known = states(house)
    return all(known.get(document["receipt_id"]) == "confirmed" for document in documents)


def messages(house):
    """How many wait in Redis, or are taken."""
    with redis.Redis.from_url(house.addresses.redis_url) as client:
        lists = [key for key in client.scan_iter("payconfirm:taken:*") if client.type(key) == b"list"]
        return sum(client.llen(name) for name in [QUEUE, "payconfirm.again", *lists])


def charges(house, receipt_ids):
    ledger = house.control("GET", "/sandbox/ledger")["receipts"]
    return {ledger[receipt_id]["charges"] for receipt_id in receipt_ids}
