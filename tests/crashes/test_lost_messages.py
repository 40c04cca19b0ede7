"""Workers are killed wherever they stand; no message is lost, and what the dead one held is back within 20 s."""

import signal
import time
from pathlib import Path

import pytest

import payconfirm
from tests.crashes.storm import Storm, assert_nothing_was_lost
from tests.crashes.zygote import zygote
from tests.workers import item, stage, until, wait_until_ready

#: What is promised for the messages and receipts of a worker that was killed.
BACK_SECONDS = 20
STORM = Storm(seed=20261125, seconds=60, peace_seconds=(0.8, 2.2), last_peace_seconds=12)
#: A machine that is busy with everything else kills less; this is still a storm.
FEWEST_KILLS = 8


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
    documents = STORM.documents(house)

    with zygote(tmp_path) as forks, payconfirm.Client.from_url(house.redis_url) as client:
        kills = STORM.rage(house, forks, client, documents, house.push)
        until(lambda: house.confirmed(*documents))
        until(lambda: not house.left_over())

    assert kills >= FEWEST_KILLS
    assert_nothing_was_lost(house, documents)
