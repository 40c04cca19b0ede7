"""A message that ends every worker that is handed it stops nobody for long, and is kept."""

import itertools
from pathlib import Path

import pytest

from config.celery import DEAD, RETURN_LIMIT
from tests.crashes.zygote import state_of, zygote
from tests.workers import envelope, item, stage, until
from worker.broker.envelopes import KEPT_BYTES, LARGEST_BYTES
from worker.broker.scripts import RETURNED

#: It can't be read; and one that can, so that its row is carried without it.
UNREADABLE = b"poison, and no JSON"
POISONED = {"headers": envelope()["headers"] | {"poison": True}}
AT_ONCE_SECONDS = 5


@pytest.fixture
def house(servers, template_database, tmp_path):
    with stage(servers, template_database, tmp_path, WORKER_CONCURRENCY="4") as built:
        built.start_gateway()
        built.start("relay", built.lines["relay"])
        yield built


def test_a_message_that_ends_whoever_takes_it_stops_nobody_for_long(house, tmp_path):
    """The first good one is taken together with the poison, which is ahead of all others whenever it comes back."""
    documents = house.open_receipts(12)
    command = as_program("poisoned", house)
    raw = [item(document) for document in documents]
    raw[3] = item(documents[3], **POISONED)
    house.push(raw[0], UNREADABLE, *raw[1:])

    with zygote(tmp_path) as forks:
        names, workers = (f"worker-{number}" for number in itertools.count(1)), []

        def supervised():
            if not workers or state_of(Path(f"/proc/{workers[-1].pid}/stat")) == "Z":
                workers.append(forks.fork(next(names), command, house.environment))
            return house.confirmed(*documents) and house.kept(UNREADABLE) and not house.left_over()

        until(supervised)
        assert workers[-1].is_ready

    assert len(workers) == 1 + 2 * RETURN_LIMIT
    assert set(house.charges().values()) == {1}
    (reason,) = house.kept(UNREADABLE)
    assert "isn't JSON" in reason
    assert f"{RETURN_LIMIT} times its worker ended" in reason
    assert not house.redis.exists(DEAD, RETURNED)


def test_what_is_too_large_to_be_read_is_kept_without_ending_anybody(house):
    worker = house.ready_worker()
    (document,) = house.open_receipts()

    house.push(b"x" * (LARGEST_BYTES + 1), item(document))

    until(lambda: house.confirmed(document), AT_ONCE_SECONDS)
    (reason,) = until(lambda: house.kept(b"x" * KEPT_BYTES))
    assert "larger than 16,777,216 bytes" in reason
    until(lambda: not house.left_over() and not house.redis.exists(DEAD))
    worker.check()


def test_a_worker_that_can_keep_nothing_loses_nothing(house, tmp_path):
    """Celery acknowledges what fails; so the message is given up to the relay, which makes it a row or keeps it."""
    (good,) = house.open_receipts()
    house.push(item(good), UNREADABLE, item({"receipt_id": "bad"}))

    with zygote(tmp_path) as forks:
        forks.fork("forgetful", as_program("forgetful", house), house.environment)
        until(lambda: house.kept(UNREADABLE) and house.ask("SELECT FROM payconfirm.dead_letters OFFSET 1"))
        until(lambda: house.ask("SELECT FROM payconfirm.confirmations"))
        until(lambda: not house.redis.exists(DEAD) and not house.left_over())
    house.ready_worker()

    until(lambda: house.confirmed(good))


def as_program(name, house):
    """The worker's line, for one of the programs of this folder that are workers with something wrong in them."""
    return [name if word == "worker.app" else word for word in house.lines["worker"]]
