"""`make demo`: the whole house on one machine under a rush, and that it leaves nothing behind."""

import os
import re
import signal
import time
from contextlib import closing

import psycopg2
import pytest

from sandbox.demo.plan import ONCE
from tests.integration.demos import (
    DEMO,
    PATIENCE_SECONDS,
    alive,
    demo_with,
    descendants,
    how_often,
    read_until,
    running,
)

STARTED, OPEN = " are up (", "stock is there"
#: As few as still show everything.
FEW = ("--receipts", "60", "--seed", "2")


@pytest.mark.timeout(240)  # either has the machine for half the time
def test_two_demos_beside_each_other_both_add_up():
    with running(*DEMO, "--receipts", "60") as first, running(*DEMO, "--receipts", "60", "--seed", "2") as second:
        below = [descendants_when_open(demo) for demo in (first, second)]
        said = [demo.communicate(timeout=PATIENCE_SECONDS)[0] for demo in (first, second)]

    for demo, text, pids in zip((first, second), said, below, strict=True):
        assert demo.returncode == 0, text
        assert re.search(r"^ +\d+ +confirmed +charged once", text, re.MULTILINE), text
        assert re.search(r"^ +\d+ +rejected +out_of_stock ", text, re.MULTILINE)
        assert re.search(r"won kept there = [\d,]+ won confirmed here", text)
        assert re.search(r"^ +3 +3 +0 +Signed vinyl", text, re.MULTILINE)
        assert "Everything adds up." in text
        assert max(map(len, text.splitlines()[3:])) <= 80
        assert len(pids) > 8
        assert alive(pids) == []


def descendants_when_open(demo):
    read_until(demo, OPEN)
    return descendants(demo.pid)


@pytest.mark.timeout(300)  # as above; and whatever was begun by a worker that is killed waits for its lease, 18 s
def test_workers_and_servers_are_killed_in_the_midst_of_a_rush_and_everything_adds_up():
    """Beside each other, since most of the time of each is waiting for leases to end."""
    with running(*DEMO, "--kill", *FEW) as kill, running(*DEMO, "--chaos", *FEW) as chaos:
        below = [descendants_when_open(demo) for demo in (kill, chaos)]
        said = [demo.communicate(timeout=2 * PATIENCE_SECONDS)[0] for demo in (kill, chaos)]

    for demo, text, pids in zip((kill, chaos), said, below, strict=True):
        assert demo.returncode == 0, text
        assert "Everything adds up." in text
        assert re.search(r"^ +\d+ +confirmed +charged once", text, re.MULTILINE), text
        assert re.search(r"won kept there = [\d,]+ won confirmed here", text)
        assert "Charged twice  no receipt" in text
        assert "audit --gateway`: nothing found" in text
        assert re.search(r"What it took +the slowest receipt took \d+\.\d s", text)
        assert re.search(r"Nothing lost +60 of 60 receipts ended as they should", text)
        assert how_often("worker killed", text) == len(re.findall(r" s  worker-\d killed$", text, re.MULTILINE)) > 0
        assert how_often("copy of a document", text) > 0
        assert max(map(len, text.splitlines()[3:])) <= 80
        assert alive(pids) == []
    assert [how_often(deed.value, said[0]) for deed in ONCE] == [0] * len(ONCE)
    assert [how_often(deed.value, said[1]) for deed in ONCE] == [1] * len(ONCE), said[1]
    for fault in ("answer of the gateway lost", "answer of the gateway late", "error of the gateway", "refused by"):
        assert how_often(fault, said[0]) == 0 < how_often(fault, said[1]), fault
    assert "they sent the same document again, which is the same job" in " ".join(said[1].split())
    assert "Asked again" not in said[0]


@pytest.mark.parametrize("words", ["postgres killed", "stopped"])
def test_a_demo_that_is_interrupted_in_the_chaos_leaves_nothing_running(words):
    """While a server is away, and while a worker is stopped that wouldn't hear of the end."""
    with running(*DEMO, "--chaos", *FEW) as demo:
        read_until(demo, words)
        pids = descendants(demo.pid)

        demo.send_signal(signal.SIGINT)
        said = demo.communicate(timeout=PATIENCE_SECONDS)[0]

    assert_stopped(demo, said, pids)


@pytest.mark.parametrize(("words", "number"), [(STARTED, signal.SIGINT), (OPEN, signal.SIGINT), (OPEN, signal.SIGTERM)])
def test_a_demo_that_is_interrupted_leaves_nothing_running(words, number):
    with running(*DEMO) as demo:
        read_until(demo, words)
        pids = descendants(demo.pid)

        demo.send_signal(number)
        said = demo.communicate(timeout=PATIENCE_SECONDS)[0]

    assert_stopped(demo, said, pids)


@pytest.mark.parametrize("moment", ["worker migrate", "runpy", "worker audit"])
def test_ctrl_c_in_a_terminal_stops_a_demo_whatever_it_is_doing(moment):
    """A terminal tells every process of the group; and people who are in a hurry press it twice."""
    with running(*DEMO, "--receipts", "20") as demo:
        pids = descendants_when(demo, moment)

        for _ in range(2):
            os.killpg(demo.pid, signal.SIGINT)
        said = demo.communicate(timeout=PATIENCE_SECONDS)[0]

    assert_stopped(demo, said, pids)


def assert_stopped(demo, said, pids):
    assert demo.returncode == 130
    assert said.endswith("stopped; nothing is left running\n")
    assert "Traceback" not in said
    assert pids
    assert alive(pids) == []


def descendants_when(demo, moment):
    """The processes below, as soon as one of them is a program with these words."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        pids = descendants(demo.pid)
        if any(moment in line for line in alive(pids)):
            return pids
        assert demo.poll() is None
        assert time.monotonic() < deadline


def test_a_demo_refuses_a_database_that_somebody_uses(database_url, redis_url):
    with closing(psycopg2.connect(database_url)) as connection, connection:
        connection.cursor().execute(
            "INSERT INTO payconfirm.confirmations (receipt_id, order_id, amount, currency, items, metadata, state,"
            " created_at, updated_at, state_since)"
            " VALUES ('r', 'o', 1, 'KRW', '{}', '{}', 'received', now(), now(), now())"
        )

    refused = demo_with(DATABASE_URL=database_url, REDIS_URL=redis_url)

    assert refused.returncode == 2
    assert refused.stdout == ""
    assert len(refused.stderr.splitlines()) == 1
    assert "holds confirmations: give the demo an empty database" in refused.stderr


def test_one_server_without_the_other_is_refused(redis_url):
    refused = demo_with(REDIS_URL=redis_url)

    assert refused.returncode == 2
    assert refused.stderr.startswith("DATABASE_URL is missing: set both")


def test_a_demo_under_attack_that_fails_says_how_to_have_it_again(redis_url):
    refused = demo_with("--chaos", "--seed", "7", "--receipts", "60", REDIS_URL=redis_url)

    assert refused.returncode == 2
    assert refused.stderr.splitlines()[-1].startswith("seed 7: `make demo CHAOS=1 SEED=7 RECEIPTS=60` has the same")
