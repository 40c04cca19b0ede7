"""One of two relays stands still wherever it is: the other carries everything out, and what was told stays told."""

import base64
import json
import math
import signal
import time
from collections import Counter
from contextlib import ExitStack, closing
from dataclasses import dataclass
from urllib.parse import urlsplit

import psycopg2
import pytest
import redis
from kombu import Connection, Queue
from sqlalchemy import text

from tests import ledgers
from tests.crashes.aftermath import by_first_time
from tests.crashes.ground import Notes, came_true
from tests.crashes.zygote import zygote
from tests.workers import PATIENCE_SECONDS, QUEUE
from worker.relay.events import EXCHANGE
from worker.store.dead_letters import DeadLetter, DeadLetters
from worker.store.engine import make_engine
from worker.store.ledger import Ledger
from worker.store.outbox import LEASE_SECONDS

#: The first test waits for all of them.
pytestmark = pytest.mark.timeout(600)

LOOK_AROUND_SECONDS = 0.1
NO_RESULT = '{"status": "PENDING", "result": {"state": null}}'
#: What the other relay may need beside the lease: its own waits, on a busy machine.
MARGIN_SECONDS = 10


@dataclass(frozen=True)
class Place:
    """Where one relay stands still, and by what is seen that it has gone on."""

    name: str
    moment: str
    nth: int
    gone_on: str
    times: int = 1

    def __str__(self):
        return f"{self.moment} {self.name}{f' {self.nth}' if self.nth > 1 else ''}"


#: It holds a batch of events by lease; it has published a part of it; all of it, without having said so. The same for
#: results and for dead letters. In the middle of a sweep. And inside each of its transactions: it holds rows.
LOST_ITS_CONNECTION = "relay.away"
MANY = 5
PLACES = [
    Place("outbox.take_events", "after", 1, "outbox.mark_published"),
    Place("event", "after", 2, "outbox.mark_published"),
    Place("outbox.mark_published", "before", 1, "outbox.mark_published"),
    Place("outbox.due_results", "after", 1, "outbox.mark_stored"),
    Place("results.store", "after", 1, "outbox.mark_stored"),
    Place("dead_letters.to_answer", "after", 1, "dead_letters.mark_answered"),
    Place("schedule.take", "after", 1, "sender.again", MANY),
    Place("sender.again", "after", 1, "sender.again", MANY),
    Place("taking", "holding rows", 1, LOST_ITS_CONNECTION),
    Place("placing", "holding rows", 1, LOST_ITS_CONNECTION),
    Place("marking", "holding rows", 1, LOST_ITS_CONNECTION),
    Place("reading results", "holding rows", 1, LOST_ITS_CONNECTION),
    Place("storing", "holding rows", 1, LOST_ITS_CONNECTION),
]
#: All that a relay does. It is stopped between any two of these, so one that is new must become a place. What it gives
#: back, of a batch for which the time was over when it woke, it has done nothing with.
DONE = {
    *("schedule.take", "sender.waiting", "sender.again"),
    *("outbox.place", "outbox.take_events", "event", "outbox.mark_published", "outbox.give_back"),
    *("outbox.due_results", "results.store", "outbox.mark_stored"),
    *("dead_letters.to_answer", "results.store_failure", "results.withdraw_failure", "dead_letters.mark_answered"),
}

ENDED = [f"ended-{number}" for number in range(MANY)]
DUE = [f"due-{number}" for number in range(MANY)]
#: It had no row when its producer's bad copy came, and ends meanwhile.
MISREAD = "misread"
#: This one ends a second time while the relay stands still.
TWICE = ENDED[0]

VOIDED = """
WITH told AS (
    INSERT INTO payconfirm.outbox (id, receipt_id, sequence, type, document, at, result_due)
    SELECT gen_random_uuid(), receipt_id, sequence + 1, 'payconfirm.voided',
           document || '{"sequence": 2, "state": "voided"}', clock_timestamp(), true
    FROM payconfirm.outbox WHERE receipt_id = :receipt_id
)
UPDATE payconfirm.confirmations SET state = 'voided', sequence = 2, owns_order = false WHERE receipt_id = :receipt_id
"""
TOLD = "SELECT id, receipt_id, sequence, published_at, place, result_due FROM payconfirm.outbox ORDER BY place"


class Scene:
    """A database and a Redis of two relays' own."""

    def __init__(self, place, addresses, forks, folder, number):
        self.place = place
        self._forks, self._number = forks, number
        self.environment = {"DATABASE_URL": addresses[0], "REDIS_URL": addresses[1]}
        self.engine = make_engine(addresses[0].replace("postgresql://", "postgresql+psycopg2://"))
        self.redis = redis.Redis.from_url(addresses[1], decode_responses=True)
        self.notes = Notes(folder / f"notes-{number}")

    def begin(self):
        """Have something for every duty, and start the relay that will stop."""
        self.redis.flushdb()
        with Connection(self.environment["REDIS_URL"]) as connection:
            Queue("told", EXCHANGE, routing_key="payconfirm.*")(connection.channel()).declare()
        for receipt_id in ENDED:
            self.end(receipt_id)
        for receipt_id in DUE:
            Ledger(self.engine).keep(ledgers.order(receipt_id), 0)
        DeadLetters(self.engine).keep(DeadLetter("celery", "no amount", b"{}", task_id=f"payconfirm-{MISREAD}"))
        at = [self.place.name, self.place.moment, self.place.nth]
        told = json.dumps({"who": "relay", "notes": str(self.notes.path), "at": at})
        command = ["python", "-m", "watched_relay"]
        self.stopped = self._forks.fork(f"stopped-{self._number}", command, self.environment | {"WATCH": told})

    def end(self, receipt_id):
        ledger = Ledger(self.engine)
        ledgers.confirmed(ledger, ledgers.reserve(ledger, ledgers.claimed(ledger, ledgers.order(receipt_id))))

    def has_stopped(self):
        self.notes.read()
        return self.notes.reached

    def go_on_without_it(self):
        """Start the other relay, and let more happen."""
        with self.engine.connect() as connection:
            connection.execute(text(VOIDED), {"receipt_id": TWICE})
        self.end(MISREAD)
        self.began = time.monotonic()
        self._forks.fork(f"other-{self._number}", ["python", "-m", "worker", "relay"], self.environment)

    def carried_out(self):
        """Whether there is nothing left to do, whoever stands still."""
        open_ = any(row.result_due or not row.published_at or not row.place for row in self.told())
        return not open_ and self.sent() == {*DUE}

    def told(self):
        with self.engine.connect() as connection:
            return list(connection.execute(text(TOLD)))

    def sent(self):
        """The due receipts that workers were told of."""
        raw = map(json.loads, self.redis.lrange(QUEUE, 0, -1))
        return {json.loads(base64.b64decode(message["body"]))[0][0] for message in raw}

    def has_gone_on(self):
        if self.place.gone_on == LOST_ITS_CONNECTION:
            return LOST_ITS_CONNECTION in self.stopped.said
        self.notes.read()
        return self.done().count(self.place.gone_on) >= self.place.times

    def done(self):
        """What the relay that was stopped has done so far."""
        return [name for name, _ in self.notes.passed.get("relay", [])]

    def results(self):
        """What those read who poll."""
        ids = [*ENDED, MISREAD]
        stored = self.redis.mget(f"celery-task-meta-payconfirm-{receipt_id}" for receipt_id in ids)
        return {receipt_id: json.loads(result or NO_RESULT) for receipt_id, result in zip(ids, stored, strict=True)}

    def events(self):
        found = []
        with Connection(self.environment["REDIS_URL"]) as connection:
            queue = Queue("told", EXCHANGE)(connection.channel())
            while got := queue.get(no_ack=True):
                found.append(json.loads(got.body))
        return found

    def close(self):
        self.notes.close()
        self.redis.close()
        self.engine.dispose()


@dataclass
class Seen:
    """What there was to see of one scene."""

    stopped: bool
    went_on: bool
    seconds: float
    told: list
    told_after: list
    events: list
    results: dict
    done: list


@pytest.fixture(scope="module")
def seen(servers, template_database, tmp_path_factory):
    folder = tmp_path_factory.mktemp("relays")
    with ExitStack() as stack:
        forks = stack.enter_context(zygote(folder))
        scenes = []
        for number, place in enumerate(PLACES, start=1):
            scene = Scene(place, addresses_of(servers, template_database, number), forks, folder, number)
            stack.callback(scene.close)
            scenes.append(scene)
        return play(scenes)


def addresses_of(servers, template_database, number):
    """A database of its own, and one of Redis's sixteen."""
    name = f"relays_{number}"
    given = servers.addresses
    with closing(psycopg2.connect(given.database_url)) as connection:
        connection.autocommit = True
        connection.cursor().execute(f"CREATE DATABASE {name} TEMPLATE {template_database} STRATEGY file_copy")
    urls = ((given.database_url, name), (given.redis_url, str(number)))
    return [urlsplit(url)._replace(path=f"/{path}").geturl() for url, path in urls]


def play(scenes):
    """All scenes at once, since most of it is waiting."""
    for scene in scenes:
        scene.begin()
    stopped = {scene: came_true(scene.has_stopped) for scene in scenes}
    for scene in scenes:
        scene.go_on_without_it()
    seconds = time_of_each(scenes)
    told = [scene.told() for scene in scenes]
    for scene in scenes:
        scene.stopped.send(signal.SIGCONT)
    went_on = {scene: came_true(scene.has_gone_on) for scene in scenes}
    return {
        scene.place: Seen(
            stopped=stopped[scene],
            went_on=went_on[scene],
            seconds=seconds[scene],
            told=before,
            told_after=scene.told(),
            events=scene.events(),
            results=scene.results(),
            done=scene.done(),
        )
        for scene, before in zip(scenes, told, strict=True)
    }


def time_of_each(scenes):
    """How long the other relay needs for everything; without an end where it doesn't come to one."""
    seconds = dict.fromkeys(scenes, math.inf)
    while math.inf in seconds.values() and time.monotonic() < scenes[0].began + PATIENCE_SECONDS:
        for scene in scenes:
            if seconds[scene] == math.inf and scene.carried_out():
                seconds[scene] = time.monotonic() - scene.began
        time.sleep(LOOK_AROUND_SECONDS)
    return seconds


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_a_relay_does_only_what_is_tried_here(place, seen):
    assert {*seen[place].done} <= DONE


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_the_other_relay_carries_everything_out_in_time(place, seen):
    assert seen[place].stopped
    assert seen[place].seconds < LEASE_SECONDS + MARGIN_SECONDS


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_nothing_is_told_with_another_id_or_out_of_order(place, seen):
    events = seen[place].events
    first = by_first_time(events)

    assert Counter((event["subject"], event["sequence"]) for event in first) == Counter(
        [*((receipt_id, 1) for receipt_id in [*ENDED, MISREAD]), (TWICE, 2)]
    )
    assert [event["sequence"] for event in first if event["subject"] == TWICE] == [1, 2]
    assert {event["id"] for event in events} == {str(row.id) for row in seen[place].told}


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_a_relay_that_goes_on_changes_nothing_that_was_told(place, seen):
    assert seen[place].went_on
    assert seen[place].told_after == seen[place].told
    assert all(row.place for row in seen[place].told)


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_a_relay_that_goes_on_takes_no_result_back(place, seen):
    results = seen[place].results

    assert {result["status"] for result in results.values()} == {"SUCCESS"}
    assert results[TWICE]["result"]["state"] == "voided"
    assert {results[receipt_id]["result"]["state"] for receipt_id in results if receipt_id != TWICE} == {"confirmed"}
