"""Callbacks through the real processes: soon, apart from payments, and not lost with a killed process."""

import json
import subprocess
import sys
import threading
import time
from functools import partial

import pytest

from sandbox.demo.programs import ROOT
from tests.integration.callback_house import SECRET
from tests.receivers import receiving, say
from tests.workers import item, stage, until, wait_until_ready

THREADS = 2


@pytest.fixture(scope="module")
def house(servers, template_database, tmp_path_factory):
    """Worker, relay and callbacks; the last without the gateway's keys."""
    variables = {
        "CALLBACK_SECRET": SECRET,
        "CALLBACK_ALLOWED_HOSTS": "127.0.0.1 localhost",
        "WORKER_CONCURRENCY": str(THREADS),
    }
    with stage(servers, template_database, tmp_path_factory.mktemp("house"), **variables) as built:
        built.start_gateway()
        built.worker, relay = built.start_worker(), built.start("relay", built.lines["relay"])
        wait_until_ready(built.worker)
        relay.wait_until(lambda log: "relay.started" if "relay.started" in log else None)
        yield built


@pytest.fixture
def callbacks(house):
    """The process of callbacks, fresh, and at its end nothing left of what it did."""
    process = start_callbacks(house)
    yield process
    process.tell_to_end()
    process.wait_for_end()
    house.ask("DELETE FROM payconfirm.callbacks RETURNING id")


def start_callbacks(house):
    kept = dict(house.environment)
    for name in kept:
        if name.startswith("BOOTPAY_"):
            del house.environment[name]
    process = house.start("callbacks", house.lines["callbacks"])
    house.environment.update(kept)
    wait_until_ready(process)
    return process


def pay(house, url):
    [document] = house.open_receipts(callback_url=url)
    house.push(item(document))
    return document


def call_of(house, document):
    rows = house.ask("SELECT * FROM payconfirm.callbacks WHERE receipt_id = :r", r=document["receipt_id"])
    return rows[0] if rows else None


def delivered(house, document):
    row = call_of(house, document)
    return row if row is not None and row.state == "delivered" else None


def command(house, *words):
    words = [sys.executable, "-m", "worker", "callbacks", *words]
    return subprocess.run(words, cwd=ROOT, env=house.environment, capture_output=True, text=True, check=False)


def test_a_callback_is_there_a_moment_after_the_confirmation(house, callbacks, shop):
    for _ in range(5):
        document = pay(house, shop.url)
        until(partial(delivered, house, document))

    took = house.ask(
        "SELECT extract(epoch FROM min(c.delivered_at - o.at))::float AS seconds"
        " FROM payconfirm.callbacks c JOIN payconfirm.outbox o USING (id)"
    )
    assert took[0].seconds < 0.4
    assert {event["data"]["state"] for event in shop.events(SECRET)} == {"confirmed"}
    assert SECRET.removeprefix("whsec_") not in callbacks.said


def test_dead_shops_take_no_thread_of_a_payment(house, callbacks, shop):
    release = threading.Event()
    shop.answer = lambda handler: (release.wait(30), say(handler, 204))
    with receiving(host="localhost") as other:
        other.answer = shop.answer
        held = [pay(house, url) for url in (shop.url, other.url) * THREADS]
        until(lambda: shop.working + other.working == THREADS)

        began = time.monotonic()
        document = pay(house, None)
        until(partial(house.confirmed, document))
        assert time.monotonic() - began < 5
        assert shop.working + other.working == THREADS
        release.set()
        for each in held:
            until(partial(delivered, house, each))
    assert callbacks.said.count('"callback.carried"') == len(held)


def test_a_killed_process_s_callback_goes_out_again(house, callbacks, shop):
    release = threading.Event()
    shop.answer = lambda handler: (release.wait(30), say(handler, 204))
    document = pay(house, shop.url)
    until(lambda: shop.working == 1)

    callbacks.kill()
    release.set()
    heir = start_callbacks(house)
    house.ask("UPDATE payconfirm.callbacks SET leased_until = clock_timestamp() RETURNING id")  # 20 s later

    row = until(partial(delivered, house, document))
    heir.tell_to_end()
    heir.wait_for_end()
    assert row.attempts == 2
    assert len(shop.got) == 2
    assert len({(got.body, got.headers["webhook-id"]) for got in shop.got}) == 1


def test_where_callbacks_are_not_wanted_there_one_fails_without_their_process(house):
    document = pay(house, "https://shop.example/hook")

    row = until(lambda: (row := call_of(house, document)) and row.state == "failed" and row)

    assert "names a host that callbacks may not go to" in row.last_error


def test_a_payment_s_message_in_the_queue_of_callbacks_is_a_dead_letter(house, callbacks):
    [document] = house.open_receipts()
    raw = item(document)
    house.redis.lpush("payconfirm.callbacks", raw, item(None, headers={"lang": "js", "task": "payconfirm.callback"}))

    until(lambda: house.kept(raw))

    assert "payconfirm.confirm" in house.kept(raw)[0]
    assert document["receipt_id"] not in house.states()
    callbacks.check()


def test_a_failed_one_is_listed_and_sent_again_by_command(house, callbacks, shop):
    shop.answer = partial(say, status=410)
    document = pay(house, shop.url)
    row = until(lambda: (row := call_of(house, document)) and row.state == "failed" and row)

    [listed] = json.loads(command(house, "--failed", "--json").stdout)
    assert (listed["id"], listed["receipt_id"], listed["last_status"]) == (str(row.id), document["receipt_id"], 410)

    shop.answer = partial(say, status=204)
    done = command(house, "--resend", str(row.id))
    assert (done.returncode, done.stderr) == (0, "")
    until(partial(delivered, house, document))
    callbacks.check()


def test_without_a_secret_the_process_doesn_t_start(house):
    environment = house.environment | {"CALLBACK_SECRET": ""}
    words = house.lines["callbacks"]

    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60)

    assert done.returncode == 2
    assert "CALLBACK_SECRET: is needed" in done.stderr


def test_a_worker_and_a_process_of_callbacks_log_without_a_banner_and_under_names_of_their_own(house, callbacks):
    """
    Celery's banner breaks what reads lines of JSON, and both would be called celery@host.
    """
    for process, name in ((house.worker, "worker@"), (callbacks, "callbacks@")):
        lines = process.said.splitlines()
        assert not [line for line in lines if line.startswith((" -------", "[queues]"))]
        assert [line for line in lines if line.startswith('{"event": "' + name)]
