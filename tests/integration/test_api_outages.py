"""The HTTP door while something it needs is away, not there yet, or ends: on real processes."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from threading import Thread

import pytest

from api.__main__ import _listen
from api.door import end
from api.threads import SILENT_SECONDS
from tests.integration.web_process import (
    DEAD_DATABASE,
    DEAD_REDIS,
    OTHER_KEY,
    PATIENCE_SECONDS,
    ROOT,
    Rows,
    Web,
    assert_problem,
    order,
    until,
)


@pytest.fixture
def start_web(tmp_path, database_url, redis_url):
    started = []

    def start(**environment):
        addresses = {"DATABASE_URL": database_url, "REDIS_URL": redis_url, "API_KEYS": "producer-one producer-two"}
        started.append(Web(tmp_path, **(addresses | environment)))
        return started[-1]

    yield start
    for web in started:
        web.stop()


def test_a_dead_broker_and_a_dead_redis_cost_nobody_anything(start_web, database_url):
    """Its row is due by itself, so the sweep sends what this door couldn't; results are looked for without hints."""
    web = start_web(REDIS_URL=DEAD_REDIS, API_KEYS="")
    rows, document = Rows(database_url), order()
    began = time.monotonic()
    for _ in range(50):
        assert web.post(order(), {}).status_code == 202
    took = time.monotonic() - began

    assert web.post(document, {}).status_code == 202
    due = rows.ask(
        "SELECT due_at - created_at FROM payconfirm.confirmations WHERE receipt_id = %s", document["receipt_id"]
    )
    assert 1.9 < due[0][0].total_seconds() < 2.1
    assert took < 10
    ready = web.get("/readyz", {})
    assert (ready.status_code, ready.json()["redis"]) == (200, "away")

    answers = []
    read_from = rows.now()
    waiter = Thread(target=lambda: answers.append(web.get(f"/v1/confirmations/{document['receipt_id']}?wait=30", {})))
    waiter.start()
    until(lambda: rows.reads_done(read_from))
    announced = rows.end(document["receipt_id"])
    waiter.join(PATIENCE_SECONDS)
    assert answers[0].json() == announced


@pytest.fixture
def silent_broker():
    """A RabbitMQ behind which packets vanish: the connection opens, and nobody ever says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listener:
        yield f"amqp://guest:secret-password@127.0.0.1:{listener.getsockname()[1]}//"


@pytest.mark.parametrize("broker", ["refused", "silent"])
def test_a_rabbitmq_that_is_away_costs_nobody_anything(start_web, database_url, silent_broker, broker):
    url = silent_broker if broker == "silent" else "amqp://guest:secret-password@127.0.0.1:1//"
    web = start_web(BROKER_URL=url)
    document = order()
    web.post(order())  # the first one finds out
    slowest = 0.0

    for each in [document, *(order() for _ in range(30))]:
        began = time.monotonic()
        assert web.post(each).status_code == 202
        slowest = max(slowest, time.monotonic() - began)

    due = "SELECT due_at - created_at FROM payconfirm.confirmations WHERE receipt_id = %s"
    [(wait,)] = Rows(database_url).ask(due, document["receipt_id"])
    assert 1.9 < wait.total_seconds() < 2.1
    assert slowest < 3  # a broker is given longer than that to answer
    assert "secret-password" not in web.log.read_text()


def test_a_key_that_posts_too_fast_is_told_when_to_come_again(start_web):
    web = start_web(POST_RATE="0.01")
    document = order()

    assert web.post(document).status_code == 202
    refused = web.post(order())
    assert_problem(refused, 429)
    assert 1 <= int(refused.headers["retry-after"]) <= 100
    assert web.post(order(), OTHER_KEY).status_code == 202
    assert web.get(f"/v1/confirmations/{document['receipt_id']}").status_code == 200


def test_while_the_database_is_away_nothing_is_accepted(start_web):
    web = start_web(DATABASE_URL=DEAD_DATABASE)

    for answer in (web.post(order()), web.get("/v1/confirmations/r?wait=5"), web.get("/readyz", {})):
        assert_problem(answer, 503)
        assert int(answer.headers["retry-after"]) >= 1
    assert web.get("/healthz", {}).status_code == 200
    assert "secret-password" not in web.log.read_text()


def test_an_error_that_nobody_foresaw_repeats_nothing_of_the_document(start_web, database_url):
    """
    The database's own text of such an error holds the whole row.
    """
    Rows(database_url).ask("ALTER TABLE payconfirm.confirmations ADD CONSTRAINT impossible CHECK (amount < 0)")
    web = start_web()

    unforeseen = web.post(order(metadata={"note": "private-note"}))

    assert_problem(unforeseen, 500)
    assert "private-note" not in unforeseen.text + web.log.read_text()


def test_it_is_ready_once_the_schema_is_there(start_web, database_url):
    Rows(database_url).ask("DROP SCHEMA payconfirm CASCADE")
    web = start_web()

    before = assert_problem(web.get("/readyz", {}), 503)
    assert before["database"] == "not migrated"
    assert_problem(web.post(order()), 503)

    migrate = [sys.executable, "-m", "worker", "migrate"]
    given = os.environ | {"DATABASE_URL": database_url, "REDIS_URL": DEAD_REDIS}
    subprocess.run(migrate, cwd=ROOT, env=given, check=True, capture_output=True)
    assert web.get("/readyz", {}).status_code == 200


def test_a_silent_database_makes_nobody_wait_long_for_that_it_isnt_ready(start_web):
    """
    A balancer gives up by itself before the database's own time-outs are over, and doesn't hear why.
    """
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        web = start_web(DATABASE_URL=f"postgresql://u:secret-password@127.0.0.1:{port}/d")

        answer = web.get("/readyz", {})

    assert assert_problem(answer, 503)["database"] == "away"
    assert answer.elapsed.total_seconds() < SILENT_SECONDS / 2


@pytest.mark.parametrize("host", ["no such host!", "a..b", "http://127.0.0.1", "999.1.1.1", "127.0.0.1"])
def test_a_web_process_that_cannot_listen_says_where_and_ends(host):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        given = os.environ | {"DATABASE_URL": DEAD_DATABASE, "REDIS_URL": DEAD_REDIS, "API_KEYS": "k"}
        given |= {"WEB_HOST": host, "WEB_PORT": str(port)}
        ended = subprocess.run([sys.executable, "-m", "api"], cwd=ROOT, env=given, capture_output=True, check=False)

    assert ended.returncode == 2
    assert f"WEB_HOST and WEB_PORT: {host} port {port} can't be listened on" in ended.stderr.decode()


def test_an_address_that_a_name_has_twice_is_listened_on_once(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    found = socket.getaddrinfo("127.0.0.1", port, type=socket.SOCK_STREAM)

    with monkeypatch.context() as twice:
        twice.setattr(socket, "getaddrinfo", lambda *_, **__: found * 2)
        (listening,) = _listen("localhost", port)

    with listening:
        assert listening.getsockname() == ("127.0.0.1", port)


def test_a_task_that_takes_its_end_for_something_else_is_told_again():
    """
    redis-py may, while it connects; a process that was to end then would stay, deaf to every signal.
    """
    missed = []

    async def connects():
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                if missed:
                    raise
                missed.append("the first")

    async def begins_and_ends():
        task = asyncio.create_task(connects())
        await asyncio.sleep(0)
        await end(task)
        return task

    assert asyncio.run(begins_and_ends()).cancelled()


def test_a_stop_answers_those_who_wait_and_is_no_crash(start_web, database_url):
    web = start_web()
    rows, document = Rows(database_url), order()
    web.post(document)
    answers, began = [], rows.now()
    waiter = Thread(target=lambda: answers.append(web.get(f"/v1/confirmations/{document['receipt_id']}?wait=30")))
    waiter.start()
    until(lambda: rows.reads_done(began))

    before = time.monotonic()
    web.process.send_signal(signal.SIGTERM)
    code = web.process.wait(PATIENCE_SECONDS)
    waiter.join(PATIENCE_SECONDS)

    assert code == 0
    assert time.monotonic() - before < 10
    assert (answers[0].status_code, answers[0].json()["state"]) == (200, "received")


@pytest.mark.parametrize(("keys", "open_to_all"), [("", True), ("producer-one", False)])
def test_it_says_at_its_start_whether_producers_need_no_key(start_web, keys, open_to_all):
    """
    Who only edits the addresses in `.env` would take it for closed.
    """
    web = start_web(API_KEYS=keys)

    warned = [line["event"] for line in map(json.loads, web.log.read_text().splitlines()) if line["level"] == "warning"]
    assert warned == ["web.open"] * open_to_all
    assert (web.get("/v1/events", {}).status_code == 200) is open_to_all


def test_it_refuses_to_be_open_to_everybody():
    given = os.environ | {"DATABASE_URL": DEAD_DATABASE, "REDIS_URL": DEAD_REDIS, "WEB_HOST": "0.0.0.0"}

    done = subprocess.run(
        [sys.executable, "-m", "api"], cwd=ROOT, env=given, capture_output=True, text=True, check=False
    )

    assert done.returncode == 2
    assert "API_KEYS" in done.stderr
    assert "secret-password" not in done.stderr
