"""Two relays side by side: every row is sent once, and every event is told once, in order, in one place of the feed."""

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from threading import Event as Flag

import pytest
from kombu import Connection, Queue
from sqlalchemy import event

from config.settings import Role, Settings
from confirmation.confirmation import Job
from confirmation.events import Event, EventType, uuid7
from confirmation.ports import Commit, Step, Terms
from confirmation.states import Reason, State
from tests import ledgers
from tests.races.meeting import Stop, at_once, held, stopped, wait_for_line
from tests.workers import PATIENCE_SECONDS, until
from worker import bootstrap
from worker.relay import results as results_module
from worker.relay.duties import place_events, publish_events, store_results
from worker.relay.events import EXCHANGE
from worker.store import outbox as outbox_module
from worker.store import schedule as schedule_module
from worker.store.ledger import Ledger
from worker.store.rows import order_values
from worker.store.schedule import Lane, Schedule
from worker.store.statements import REPLACE

CROWD = [f"r{number}" for number in range(30)]
OUTBOX = "SELECT FROM payconfirm.outbox FOR UPDATE"
ONE_OF_IT = "SELECT FROM payconfirm.outbox WHERE receipt_id = 'r1' FOR UPDATE"
OVER = "UPDATE payconfirm.outbox SET leased_until = clock_timestamp() - interval '1 second' WHERE published_at IS NULL"
WAITING = "SELECT FROM payconfirm.outbox WHERE published_at IS NULL OR place IS NULL OR result_due"
PUBLISHED = "SELECT id, published_at FROM payconfirm.outbox"
DRAWN = "nextval('payconfirm.feed')"
LATE = """
INSERT INTO payconfirm.outbox (id, receipt_id, sequence, type, document, at, result_due)
VALUES (gen_random_uuid(), 'late', 1, 'payconfirm.rejected', '{}', now(), false)
"""
FEED = "SELECT id, receipt_id, place FROM payconfirm.outbox WHERE place > :after ORDER BY place"

ALONE_WHILE_TAKING = {"pg_try_advisory_xact_lock(%(lock)s)": "true"}
LEASE = {"(o.leased_until IS NULL OR o.leased_until <= clock_timestamp())": "true"}
EARLIER_FIRST = {"e.sequence < o.sequence": "false"}
MARKED_ONCE = {" AND published_at IS NULL\n    ORDER BY number": "\n    ORDER BY number"}
SKIPPED = {" FOR UPDATE SKIP LOCKED": ""}
DUE_AGAIN = {"o.result_asked <> line.asked": "false"}
NEVER_BACK = "if sequence > tonumber(ARGV[2]) then return 0 end"

with_control = pytest.mark.parametrize("guarded", [True, False], ids=["guarded", "control"])


@pytest.fixture(autouse=True)
def _patience(monkeypatch):
    """Who stands in a line here stays in it."""
    monkeypatch.setattr(outbox_module, "PATIENCE_SECONDS", PATIENCE_SECONDS)


@pytest.fixture
def new_relay(course, redis_url):
    """Relays as their processes build them."""
    with ExitStack() as closing:

        def relay(without=None):
            settings = Settings(role=Role.OTHER, database_url=course.url, redis_url=redis_url)
            bootstrap.build_engine.cache_clear()  # each relay is a process of its own
            parts = bootstrap.build_relay(settings)
            for guard, instead in (without or {}).items():
                course.take_out(guard, instead, parts.outbox._engine)
            closing.callback(parts.redis.close)
            closing.callback(parts.outbox._engine.dispose)
            closing.callback(parts.events.close)
            return parts

        yield relay


@pytest.fixture
def subscriber(redis_url):
    """A shop that is told everything."""
    with Connection(redis_url) as connection:
        queue = Queue("shop", EXCHANGE, routing_key="payconfirm.*")(connection.channel())
        queue.declare()

        def told():
            messages = iter(lambda: queue.get(no_ack=True), None)
            return [json.loads(message.body) for message in messages]

        yield told


def rejected(ledger, receipt_id):
    """Tell a first event of a receipt."""
    return ledgers.rejected(ledger, ledgers.claimed(ledger, ledgers.order(receipt_id)))


def voided(course, ledger, receipt_id):
    """Tell a second one."""
    [row] = course.run("SELECT fence FROM payconfirm.confirmations WHERE receipt_id = :id", id=receipt_id)
    claimed = ledger.claim(Job(receipt_id, fence=row.fence), ledgers.LEASE_SECONDS)
    after = replace(claimed, state=State.VOIDED, reason=Reason.LATE_APPROVAL)
    step = Step("rejected", "cancelled", "voided")
    ledger.write(Commit(claimed, after, step, event=Event(uuid7(), EventType.VOIDED)))


def places(course):
    return {row.id: row.place for row in course.run(FEED, after=0)}


class Slowly:
    """A part of a relay that stops at its work."""

    def __init__(self, part, stop):
        self._part, self._stop = part, stop

    def publish(self, events):
        self._stop()
        return self._part.publish(events)

    def store(self, results):
        self._stop()
        self._part.store(results)

    def close(self):
        self._part.close()


@with_control
def test_two_sweeps_at_once_send_every_row_once(course, guarded):
    """
    One relay's statement has taken them all and hasn't committed yet.
    """
    for receipt_id in CROWD:
        course.ledger.keep(ledgers.order(receipt_id), 0)
    engine = course.new_engine()
    if not guarded:
        course.take_out(*SKIPPED.copy().popitem(), engine)
    take = {"lane": Lane.NEVER_CLAIMED, "most": 100, "after": schedule_module.SENT_AGAIN_AFTER}

    with ThreadPoolExecutor(1) as pool, held(course.engine, schedule_module._TAKE, **take) as commit:
        second = pool.submit(Schedule(engine, Terms().deadline).take, Lane.NEVER_CLAIMED, 100)
        wait_for_line(course.engine, 1, second)
        commit()

    assert {due.receipt_id for due in second.result()} == (set() if guarded else set(CROWD))


@with_control
def test_two_relays_at_once_take_every_event_once(course, new_relay, guarded):
    for receipt_id in CROWD:
        rejected(course.ledger, receipt_id)
    without = {} if guarded else ALONE_WHILE_TAKING | LEASE
    one, other = new_relay(without), new_relay(without)

    with ThreadPoolExecutor(2) as pool, held(course.engine, OUTBOX) as let_go:
        taken = [pool.submit(one.outbox.take_events, 100)]
        wait_for_line(course.engine, 1, *taken)
        taken.append(pool.submit(other.outbox.take_events, 100))
        wait_for_line(course.engine, 2, *taken)
        let_go()

    numbers = [event.number for events in taken for event in events.result()]
    assert len(set(numbers)) == len(CROWD)
    assert len(numbers) == len(CROWD) * (1 if guarded else 2)


@with_control
def test_what_a_slow_relay_has_taken_is_left_to_it(course, new_relay, subscriber, guarded):
    slow, quick, stop = new_relay(), new_relay({} if guarded else LEASE), Stop()
    rejected(course.ledger, "r1")

    with stopped(lambda: publish_events(replace(slow, events=Slowly(slow.events, stop))), stop):
        publish_events(quick)

    assert len(subscriber()) == (1 if guarded else 2)


@with_control
def test_a_relay_that_is_slow_isnt_overtaken_by_the_next_event_of_its_receipt(course, new_relay, subscriber, guarded):
    slow, quick, stop = new_relay(), new_relay({} if guarded else EARLIER_FIRST), Stop()
    rejected(course.ledger, "r1")

    with stopped(lambda: publish_events(replace(slow, events=Slowly(slow.events, stop))), stop):
        voided(course, course.ledger, "r1")
        publish_events(quick)

    publish_events(quick)
    assert [event["sequence"] for event in subscriber()] == ([1, 2] if guarded else [2, 1])


@with_control
def test_a_relay_that_was_stopped_for_longer_than_its_lease_marks_no_event_again(
    course, new_relay, subscriber, guarded
):
    """
    It publishes what another has published since: the same id once more, which receivers drop.
    """
    rejected(course.ledger, "r1")
    frozen, other, stop = new_relay({} if guarded else MARKED_ONCE), new_relay(), Stop()

    with stopped(lambda: publish_events(replace(frozen, events=Slowly(frozen.events, stop))), stop):
        course.run(OVER)
        publish_events(other)
        first = course.run(PUBLISHED)

    assert len({event["id"] for event in subscriber()}) == 1
    assert (course.run(PUBLISHED) == first) == guarded


@with_control
def test_a_reader_by_place_never_passes_a_late_commit(course, new_relay, guarded):
    """
    One relay has seen what is there, and stands in line for it. What was written before, and is committed only now,
    gets an earlier place from the other relay, which is slow to commit that.
    """
    without = {} if guarded else ALONE_WHILE_TAKING
    one, slow, stop = new_relay(without), new_relay(without), Stop()
    event.listen(slow.outbox._engine, "after_cursor_execute", lambda *call: stop() if DRAWN in call[2] else None)
    with ThreadPoolExecutor(2) as pool, held(course.engine, LATE) as commit:
        rejected(course.ledger, "r1")
        with held(course.engine, ONE_OF_IT) as let_go:
            placing = pool.submit(one.outbox.place, 10)
            wait_for_line(course.engine, 1, placing)
            commit()
            late = pool.submit(slow.outbox.place, 1)
            until(lambda: late.done() or stop._reached.is_set())
            let_go()
        placing.result(PATIENCE_SECONDS)
        read = course.run(FEED, after=0)
        stop.go_on()
        late.result(PATIENCE_SECONDS)
    one.outbox.place(10)
    read += course.run(FEED, after=read[-1].place)

    assert [row.receipt_id for row in read] == (["r1", "late"] if guarded else ["r1"])


@with_control
def test_a_relay_that_was_stopped_takes_no_result_back(course, new_relay, guarded, monkeypatch):
    if not guarded:
        assert NEVER_BACK in results_module._STORE
        monkeypatch.setattr(results_module, "_STORE", results_module._STORE.replace(NEVER_BACK, ""))
    frozen, other, stop = new_relay(), new_relay(), Stop()
    rejected(course.ledger, "r1")

    with stopped(lambda: store_results(replace(frozen, results=Slowly(frozen.results, stop))), stop):
        voided(course, course.ledger, "r1")
        store_results(other)

    store_results(other)
    stored = json.loads(polled(other))["result"]
    assert (stored["state"], stored["sequence"]) == (("voided", 2) if guarded else ("rejected", 1))


taking_over = pytest.mark.parametrize(
    "right",
    [ledgers.order("r1", "right"), ledgers.order("r1", "wrong", won=4000)],
    ids=["another order", "another amount"],
)


def polled(relay):
    return relay.redis.get("celery-task-meta-payconfirm-r1")


@pytest.fixture
def unknown(course):
    """A receipt that the gateway didn't know: another document may take it over."""
    wrong = ledgers.claimed(course.ledger, ledgers.order("r1", "wrong"))
    ledgers.rejected(course.ledger, wrong, Reason.RECEIPT_NOT_FOUND)


@taking_over
@with_control
@pytest.mark.usefixtures("unknown")
def test_a_result_is_taken_back_whose_receipt_is_taken_over_while_it_is_stored(course, new_relay, right, guarded):
    """
    Whoever polls for the document that took over would read the other's rejection.
    """
    relay, stop = new_relay({} if guarded else DUE_AGAIN), Stop()

    with stopped(lambda: store_results(replace(relay, results=Slowly(relay.results, stop))), stop):
        course.ledger.keep(right, 60)

    store_results(relay)
    assert (polled(relay) is None) == guarded


@with_control
@pytest.mark.usefixtures("unknown")
def test_a_relay_that_was_stopped_brings_no_result_back_that_was_taken_back(course, new_relay, guarded):
    frozen, other, stop = new_relay({} if guarded else DUE_AGAIN), new_relay(), Stop()

    with stopped(lambda: store_results(replace(frozen, results=Slowly(frozen.results, stop))), stop):
        course.ledger.keep(ledgers.order("r1", "right"), 60)
        store_results(other)
        assert polled(other) is None

    store_results(other)
    assert (polled(other) is None) == guarded


@with_control
@pytest.mark.usefixtures("unknown")
def test_a_result_is_taken_back_whose_receipt_is_being_taken_over_as_it_is_marked(course, new_relay, guarded):
    """
    The statement that marks it has begun, and sees the row as it was; the one that takes it over hasn't committed yet.
    """
    relay = new_relay({} if guarded else DUE_AGAIN)
    results = relay.outbox.due_results(10)
    relay.results.store(results)
    takes_over = order_values(ledgers.order("r1", "right")) | {"due": Terms().deadline}

    with ThreadPoolExecutor(1) as pool, held(course.engine, REPLACE, **takes_over) as commit:
        marked = pool.submit(relay.outbox.mark_stored, results)
        wait_for_line(course.engine, 1, marked)
        commit()
        marked.result()

    store_results(relay)
    assert (polled(relay) is None) == guarded


@with_control
def test_a_result_that_is_asked_for_while_it_is_stored_is_stored_once_more(course, new_relay, guarded):
    """
    Who polls may have read and deleted it in between, and would wait for what never comes.
    """
    relay, stop = new_relay({} if guarded else DUE_AGAIN), Stop()
    done = rejected(course.ledger, "r1")

    with stopped(lambda: store_results(replace(relay, results=Slowly(relay.results, stop))), stop):
        course.ledger.tell_again(done)
    relay.redis.delete("celery-task-meta-payconfirm-r1")

    store_results(relay)
    assert (polled(relay) is not None) == guarded
    assert store_results(relay) is False


class Crowd:
    """Receipts that end and end again, relays that carry out what is told, and a reader that follows the feed."""

    def __init__(self, course):
        self._course, self._ledger, self._over = course, Ledger(course.new_engine()), Flag()
        self.read = []

    def end_all(self):
        try:
            for receipt_id in CROWD:
                rejected(self._ledger, receipt_id)
                voided(self._course, self._ledger, receipt_id)
        finally:
            self._over.set()

    def turning(self, duty, relay):
        def turn():
            while not self._over.is_set() or self._course.run(WAITING):
                duty(relay)

        return turn

    def follow(self):
        while not self._over.is_set():
            self.read_on()

    def read_on(self):
        self.read += self._course.run(FEED, after=self.read[-1].place if self.read else 0)


def test_a_crowd_of_events_through_two_relays(course, new_relay, subscriber):
    relays, crowd = [new_relay(), new_relay()], Crowd(course)

    duties = [crowd.turning(duty, relay) for relay in relays for duty in (place_events, publish_events, store_results)]
    at_once(crowd.end_all, crowd.follow, *duties)
    crowd.read_on()

    events = subscriber()
    told = {
        receipt_id: [event["sequence"] for event in events if event["subject"] == receipt_id] for receipt_id in CROWD
    }
    assert told == {receipt_id: [1, 2] for receipt_id in CROWD}
    assert len({event["id"] for event in events}) == len(events)
    assert [row.id for row in crowd.read] == list(places(course))
    assert len(set(places(course).values())) == len(events)
    results = relays[0].redis.mget([f"celery-task-meta-payconfirm-{receipt_id}" for receipt_id in CROWD])
    assert [json.loads(result)["result"]["sequence"] for result in results] == [2] * len(CROWD)
