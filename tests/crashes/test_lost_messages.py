"""Workers are killed wherever they stand; no message is lost, and what the dead one held is back within 20 s."""

import base64
import itertools
import random
import signal
import time
from pathlib import Path

import pytest

import payconfirm
from tests.crashes.zygote import zygote
from tests.workers import PATIENCE_SECONDS, item, stage, until, wait_until_ready

#: What is promised for the messages and receipts of a worker that was killed.
BACK_SECONDS = 20
SEED = 20261125
#: How long messages come, and how many a second: few, since others need the machine as well.
STORM_SECONDS, PER_SECOND = 60, 12
#: How long nobody is killed then, and for how long before the end: what the last one held is back by then.
PEACE_SECONDS, LAST_PEACE_SECONDS = (0.8, 2.2), 12
WORKERS = 2
#: A machine that is busy with everything else kills less; this is still a storm.
FEWEST_KILLS = 8
#: Every so many messages one is sent twice, and one comes that nobody can use.
TWICE_EVERY, BAD_EVERY = 5, 20


@pytest.fixture
def house(servers, template_database, tmp_path):
    with stage(servers, template_database, tmp_path, WORKER_CONCURRENCY="4") as built:
        yield built


@pytest.mark.parametrize(("application", "lost"), [("unguarded", 1), ("worker.app", 0)])
def test_what_a_stopped_worker_was_sent_outlives_it(application, lost, house):
    """The first is the control: Redis hands the message to a connection that nobody will read."""
    house.start_gateway()
    house.environment["PYTHONPATH"] = str(Path(__file__).parent)  # where the control's application is
    command = [application if word == "worker.app" else word for word in house.lines["worker"]]
    worker = house.start("worker", command)
    wait_until_ready(worker)
    until(lambda: house.redis.info("clients")["blocked_clients"])
    documents = house.open_receipts(3)

    worker.send(signal.SIGSTOP)
    house.push(*map(item, documents))
    worker.kill()
    heir = house.start("worker", command)

    until(lambda: not house.left_over() and not house.redis.hlen("unacked") and house.states())
    heir.kill()
    known = house.states()
    assert len(documents) - len(known) == lost
    assert set(known.values()) == {"confirmed"}


def test_what_a_killed_worker_held_is_back_in_time(house):
    house.start_gateway()
    house.control("POST", "/sandbox/faults", {"call": "receipt", "fault": "hang", "times": 0})
    house.start("relay", house.lines["relay"])
    worker = house.ready_worker()
    documents = house.open_receipts(12)
    house.push(*map(item, documents))
    until(lambda: len(house.states()) == 4)  # as many as it has threads, and they hang

    worker.kill()
    killed_at = time.monotonic()
    held = sum(house.redis.llen(name) for name in house.taken())
    house.control("DELETE", "/sandbox/faults")
    house.start_worker()

    until(lambda: house.confirmed(*documents))
    assert time.monotonic() - killed_at < BACK_SECONDS
    assert held >= 4
    until(lambda: not house.left_over())
    assert set(house.charges().values()) == {1}


@pytest.mark.timeout(300)
def test_a_minute_of_killing_loses_nothing_and_charges_nobody_twice(house, tmp_path):
    """
    Two workers in turn, at random moments: some die between being handed a message and having noted it. What nobody can
    use comes in between, and is kept; many messages come twice.
    """
    house.start_gateway(lookup_seconds=0.02, approve_seconds=0.05)
    house.start("relay", house.lines["relay"])
    documents = house.open_receipts(STORM_SECONDS * PER_SECOND)
    bad = [f"bad message {number}".encode() for number in range(0, len(documents), BAD_EVERY)]

    with zygote(tmp_path) as forks:
        kills = storm(house, forks, documents, bad)
        until(lambda: house.confirmed(*documents))
        until(lambda: not house.left_over())

    assert kills >= FEWEST_KILLS
    assert set(house.charges().values()) == {1}
    assert {base64.b64decode(letter["raw_base64"]) for letter in house.letters.newest()} == set(bad)
    audit = house.start("audit", ["python", "-m", "worker", "audit"])
    assert audit.wait(PATIENCE_SECONDS) == 0, audit.said


def storm(house, forks, documents, bad):
    """Send these steadily while workers are killed and others take their place; return how many were killed."""
    chance = random.Random(SEED)
    names = (f"worker-{number}" for number in itertools.count(1))
    workers = [forks.fork(next(names), house.lines["worker"], house.environment) for _ in range(WORKERS)]
    began = time.monotonic()
    kill_at, kills = began + chance.uniform(*PEACE_SECONDS), 0
    with payconfirm.Client.from_url(house.redis_url) as client:
        for number, document in enumerate(documents):
            pause_until(began + number / PER_SECOND)
            client.enqueue(document)
            if number % TWICE_EVERY == 0:
                client.enqueue(document)
            if number % BAD_EVERY == 0:
                house.push(bad[number // BAD_EVERY])
            awake = [number for number, worker in enumerate(workers) if is_ready(worker)]
            if awake and kill_at < time.monotonic() < began + STORM_SECONDS - LAST_PEACE_SECONDS:
                chosen = chance.choice(awake)
                workers[chosen].kill()
                workers[chosen] = forks.fork(next(names), house.lines["worker"], house.environment)
                kill_at, kills = time.monotonic() + chance.uniform(*PEACE_SECONDS), kills + 1
    return kills


def is_ready(worker):
    return worker.log.exists() and " ready." in worker.said


def pause_until(moment):
    """Keep the pace of the sender; nothing is waited for."""
    time.sleep(max(0.0, moment - time.monotonic()))
