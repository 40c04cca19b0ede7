"""Asking the HTTP door for a result, and waiting for it: on a real process and real servers."""

import asyncio
import json
import time
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

import pytest

from tests.integration.web_process import KEY, PATIENCE_SECONDS, assert_problem, order, shared_door, until

#: Many times what a process has threads. Half of them wait for one receipt.
WAITERS = 1000
#: What they may cost, together with their connections and the work for them.
MEGABYTES = 100


@pytest.fixture(scope="module")
def web(servers, template_database, tmp_path_factory):
    with shared_door(servers, template_database, tmp_path_factory.mktemp("web")) as web:
        yield web


@pytest.mark.parametrize("receipt_id", ["never-seen", "a%20b", "%F0%9F%92%A9", "x" * 65, "r%0A"])
def test_an_unknown_receipt_is_not_found_at_once(web, receipt_id):
    assert_problem(web.get(f"/v1/confirmations/{receipt_id}?wait=30"), 404)


@pytest.mark.parametrize("wait", ["-1", "31", "nan", "inf", "soon", ""])
def test_a_wrong_wait_is_refused(web, wait):
    problem = assert_problem(web.get(f"/v1/confirmations/r?wait={wait}"), 422)

    assert [error["field"] for error in problem["errors"]] == ["wait"]


def test_who_does_not_wait_is_answered_at_once(web):
    document = order()
    web.post(document)
    before = time.monotonic()

    answer = web.get(f"/v1/confirmations/{document['receipt_id']}")

    assert (answer.status_code, answer.json()["final"]) == (200, False)
    assert time.monotonic() - before < 2  # the first look without a hint would be later


def test_an_open_receipt_is_told_when_the_wait_is_over(web):
    document = order()
    web.post(document)
    before = time.monotonic()

    answer = web.get(f"/v1/confirmations/{document['receipt_id']}?wait=0.5")

    assert answer.json()["state"] == "received"
    assert time.monotonic() - before >= 0.5


def test_a_hint_wakes_who_waits(web):
    """Two looks without a hint are over, and the third is 4 s away: only the hint can be quicker."""
    document = order()
    web.post(document)
    answers = []
    began = web.rows.now()
    waiter = Thread(target=lambda: answers.append(web.get(f"/v1/confirmations/{document['receipt_id']}?wait=30")))
    waiter.start()
    first = until(lambda: web.rows.reads_done(began))[0][0]
    until(lambda: web.rows.reads_done(first))
    announced = web.rows.end(document["receipt_id"])
    told = time.monotonic()

    with web.redis as connection:
        connection.publish("payconfirm:results", document["receipt_id"])
    waiter.join(PATIENCE_SECONDS)

    assert time.monotonic() - told < 3
    assert answers[0].json() == announced


async def ask(web, path):
    reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(web.url).port)
    writer.write(f"GET {path}?wait=30 HTTP/1.1\r\nHost: door\r\nConnection: close\r\n".encode())
    writer.write(f"Authorization: {KEY['Authorization']}\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    return answer


def established(web):
    """How many connections the process has taken."""
    folder = Path(f"/proc/{web.process.pid}/fd")
    return sum(str(each.readlink()).startswith("socket:") for each in folder.iterdir())


def test_a_thousand_wait_at_once_and_cost_no_threads_and_little_memory(web):
    own = [order() for _ in range(50)]
    for document in own:
        assert web.post(document).status_code == 202
    names = [document["receipt_id"] for document in own]
    waited = [names[0]] * (WAITERS // 2) + [names[number % 50] for number in range(WAITERS // 2)]
    before = web.memory

    async def story():
        waiters = [asyncio.create_task(ask(web, f"/v1/confirmations/{name}")) for name in waited]
        async with asyncio.timeout(PATIENCE_SECONDS):
            while established(web) < WAITERS:  # noqa: ASYNC110 — the process knows
                await asyncio.sleep(0.05)
        assert (await asyncio.to_thread(web.post, order())).status_code == 202
        threads, grown = web.threads, web.memory - before
        with web.redis as connection:
            for name in names:
                await asyncio.to_thread(web.rows.end, name)
                connection.publish("payconfirm:results", name)
        return threads, grown, await asyncio.gather(*waiters)

    threads, grown, answers = asyncio.run(story())

    assert threads < 20
    assert grown < MEGABYTES
    for name, answer in zip(waited, answers, strict=True):
        assert answer.startswith(b"HTTP/1.1 200")
        assert json.loads(answer.partition(b"\r\n\r\n")[2]) == {
            "receipt_id": name, "state": "confirmed", "final": True, "sequence": 1,
        }  # fmt: skip
