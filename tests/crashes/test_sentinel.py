"""Redis behind Sentinels fails over in the middle of a rush, twice: nothing that had a row is lost or charged twice."""

import json
import threading
import time

import pytest
import requests

import payconfirm
from payconfirm import BrokerUnavailable
from tests.sentinels import behind_sentinels
from tests.workers import PATIENCE_SECONDS, stage, until, wait_until_ready

#: By each door and failover.
BATCH, PER_SECOND = 40, 10
KEY = "a-key-for-tests"
POST_SECONDS = 5


@pytest.fixture
def redis(tmp_path):
    with behind_sentinels(tmp_path) as redis:
        yield redis


@pytest.fixture
def house(servers, template_database, tmp_path, redis):
    variables = {"REDIS_URL": redis.url, "WEB_PORT": "0", "API_KEYS": KEY, "WORKER_CONCURRENCY": "8"}
    with stage(servers, template_database, tmp_path, redis.master.server.url, **variables) as built:
        built.start_gateway(lookup_seconds=0.02, approve_seconds=0.1)
        yield built


@pytest.mark.timeout(240)
def test_a_rush_goes_on_over_two_failovers(house, redis):
    """
    First the replica is told to take over, then its successor's machine dies, and a Sentinel with it. What only the
    master had is lost with it: its producer sends it again, as after every time-out.
    """
    web = house.start("web", house.lines["web"])
    programs = [house.start("relay", house.lines["relay"]), web, *(house.start_worker() for _ in range(2))]
    for worker in programs[2:]:
        wait_until_ready(worker)
    url = web.wait_until(where_it_listens)
    by_celery, by_http = house.open_receipts(2 * BATCH), house.open_receipts(2 * BATCH)

    with payconfirm.Client.from_url(redis.url) as client:
        for number, happens in enumerate((redis.fail_over, redis.lose_the_master)):
            part = slice(number * BATCH, (number + 1) * BATCH)
            rush = threading.Thread(target=send_all, args=(client, url, by_celery[part], by_http[part]))
            before = len(house.states())
            rush.start()
            until(lambda before=before: len(house.states()) > before + BATCH // 2)
            happens()
            rush.join()
            until(lambda number=number: house.confirmed(*by_http[: (number + 1) * BATCH]))

        with_a_row = house.states().keys()
        until(lambda: set(house.states().values()) == {"confirmed"})
        for document in by_celery:
            if document["receipt_id"] not in with_a_row:
                client.enqueue(document)
        until(lambda: house.confirmed(*by_celery, *by_http))
        # A result that only the dead master had is stored again for the same document.
        told = client.enqueue(by_http[-1]).wait(PATIENCE_SECONDS)

    assert told["state"] == "confirmed"
    assert set(house.charges().values()) == {1}
    for program in programs:
        program.check()
    for command in ("audit", "health"):
        done = house.start(command, ["python", "-m", "worker", command])
        assert done.wait(PATIENCE_SECONDS) == 0, done.said


def send_all(client, url, by_celery, by_http):
    """Send one by each door in turn, each until it is accepted."""
    for celery, http in zip(by_celery, by_http, strict=True):
        began = time.monotonic()
        enqueue(client, celery)
        answer = requests.post(
            f"{url}/v1/confirmations", json=http, headers={"Authorization": f"Bearer {KEY}"}, timeout=POST_SECONDS
        )
        assert answer.status_code == 202, answer.text
        time.sleep(max(0.0, began + 1 / PER_SECOND - time.monotonic()))


def enqueue(client, document):
    while True:
        try:
            return client.enqueue(document)
        except BrokerUnavailable:
            time.sleep(1 / PER_SECOND)


def where_it_listens(log):
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{") and line.endswith("}")]
    found = next((line for line in lines if line["event"] == "web.listening"), None)
    return found and f"http://127.0.0.1:{found['port']}"
