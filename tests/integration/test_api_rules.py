"""The HTTP door's parts, each alone: rates, waiting, hearing hints, sending, errors that nobody foresaw."""

import asyncio
import logging
import time
from contextlib import asynccontextmanager
from threading import Barrier

import httpx
import pytest
import redis

from api import health, sending
from api.app import create_app
from api.door import end
from api.following import Following
from api.hearing import Hearing
from api.problems import Problem
from api.rate import PostRate
from api.sending import Outgoing
from api.threads import Threads
from api.waiting import Waiting
from config.settings import Role, Settings
from confirmation.errors import StoreBusy, StoreUnavailable
from worker.broker.queues import BrokerAway

PATIENCE_SECONDS = 20
OPEN = {"final": False}
DONE = {"final": True}


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def takes(rate, key, times):
    """How many of so many posts are let in."""
    refused = 0
    for _ in range(times):
        try:
            rate.take(key)
        except Problem:
            refused += 1
    return times - refused


def test_a_key_has_a_second_s_worth_in_one_go_and_then_its_rate():
    clock = Clock()
    rate = PostRate(10, clock)

    assert takes(rate, b"one", 30) == 10
    clock.now += 0.5
    assert takes(rate, b"one", 30) == 5
    clock.now += 3600
    assert takes(rate, b"one", 30) == 10
    assert takes(rate, b"two", 30) == 10


def test_a_refused_post_is_told_how_long_a_token_takes():
    rate = PostRate(0.25, Clock())
    rate.take(b"one")

    with pytest.raises(Problem) as refused:
        rate.take(b"one")

    assert refused.value.headers == {"Retry-After": "4"}


def test_a_rate_of_nothing_is_no_limit():
    assert takes(PostRate(0, Clock()), b"one", 1000) == 1000


class Row:
    """Gives one answer after another, and says when each was asked for."""

    def __init__(self, *answers):
        self._answers = list(answers)
        self.looks = asyncio.Semaphore(0)

    async def read(self, _):
        self.looks.release()
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def test_a_hint_during_the_look_itself_is_not_missed():
    """The row changes after the read and before its answer: without a bell hung up before, nobody looks again."""

    async def story():
        looks = []

        async def read(receipt_id):
            looks.append(receipt_id)
            if len(looks) == 1:
                waiting.ring(receipt_id)
                return OPEN
            return DONE

        waiting = Waiting(read)
        async with asyncio.timeout(1):  # the first look without a hint is 2 s away
            assert await waiting.result("r", 30) == DONE

    asyncio.run(story())


def test_hints_for_others_wake_nobody_and_nothing_is_kept():
    async def story():
        row = Row(OPEN)
        waiting = Waiting(row.read)
        waiter = asyncio.create_task(waiting.result("r", 0.5))
        await row.looks.acquire()
        waiting.ring("another")

        assert await waiter == OPEN
        await row.looks.acquire()  # the look when the time was over
        assert row.looks.locked()
        assert not waiting._bells

    asyncio.run(story())


@pytest.mark.parametrize("away", [StoreUnavailable("gone"), StoreBusy("late")])
def test_a_database_that_goes_away_during_a_wait_only_makes_it_longer(away):
    async def story():
        row = Row(OPEN, away, DONE)
        waiting = Waiting(row.read)
        waiter = asyncio.create_task(waiting.result("r", 30))
        for _ in range(2):
            await row.looks.acquire()
            await asyncio.sleep(0)
            waiting.ring("r")

        assert await waiter == DONE
        with pytest.raises(type(away)):
            await Waiting(Row(away).read).result("r", 30)

    asyncio.run(story())


@asynccontextmanager
async def hearing(redis_url):
    """Give who hears, whom it rang, how often it rang everybody, and a client that says things; for so long at most."""
    rung, everybody = asyncio.Queue(), asyncio.Queue()
    waiting = Waiting(Row(OPEN).read)
    waiting.ring, waiting.ring_all = rung.put_nowait, lambda: everybody.put_nowait("all")
    hears = Hearing(redis_url, waiting, Following(None))
    running = asyncio.create_task(hears.run())
    with redis.Redis.from_url(redis_url) as other:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await everybody.get()
            yield hears, rung, everybody, other
    await end(running)
    await hears.close()


def test_hints_are_heard_again_after_redis_was_away(redis_url):
    """Everybody looks once it is back, too: what was told in between is lost."""

    async def story():
        async with hearing(redis_url) as (hears, rung, everybody, other):
            assert hears.connected
            other.client_kill_filter(_type="pubsub")
            await everybody.get()
            other.publish("payconfirm:results", "r-1")
            assert await rung.get() == "r-1"

    asyncio.run(story())


def test_a_hint_that_is_no_text_is_nobodys_and_the_next_one_is_heard(redis_url):
    """Channels are one for all databases of a Redis: somebody else's bytes must not end the hearing for ever."""

    async def story():
        async with hearing(redis_url) as (_, rung, _, other):
            other.publish("payconfirm:results", b"\xff")
            other.publish("payconfirm:results", "r-1")
            assert [await rung.get(), await rung.get()] == ["\ufffd", "r-1"]

    asyncio.run(story())


def pings(redis_url):
    with redis.Redis.from_url(redis_url) as connection:
        return connection.info("commandstats").get("cmdstat_ping", {}).get("calls", 0)


def test_a_silent_connection_is_asked_and_kept_while_it_lives(redis_url, monkeypatch):
    monkeypatch.setattr("api.hearing._SILENT_SECONDS", 0.1)

    async def story():
        everybody = asyncio.Queue()
        waiting = Waiting(Row(OPEN).read)
        waiting.ring_all = lambda: everybody.put_nowait("all")
        hearing = Hearing(redis_url, waiting, Following(None))
        running = asyncio.create_task(hearing.run())
        async with asyncio.timeout(PATIENCE_SECONDS):
            await everybody.get()
            before = pings(redis_url)
            while pings(redis_url) < before + 3:  # noqa: ASYNC110 — it's Redis that counts
                await asyncio.sleep(0.05)
        assert hearing.connected
        assert everybody.empty()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await hearing.close()

    asyncio.run(story())


class Broker:
    """Takes messages, or doesn't."""

    def __init__(self, error=None):
        self.error = error
        self.asked = []
        self.gate = Barrier(2)

    def new(self, document):
        self.asked.append(document["receipt_id"])
        if document["receipt_id"] == "slow":
            self.gate.wait(PATIENCE_SECONDS)
        if self.error:
            raise self.error


@pytest.mark.parametrize("error", [BrokerAway("ConnectionRefusedError"), RuntimeError("whatever")])
def test_a_broker_that_is_away_is_left_alone_for_a_moment(error):
    broker = Broker(error)
    outgoing = Outgoing(broker)
    outgoing.start()
    for number in range(100):
        outgoing.send({"receipt_id": f"r-{number}"})
    outgoing.close()

    assert broker.asked == ["r-0"]


def test_a_message_that_is_late_is_left_to_the_sweep(monkeypatch):
    """Behind a slow send others grow old; by then their rows are due, and theirs would be second copies."""
    monkeypatch.setattr(sending, "_USEFUL_SECONDS", 0.2)
    broker = Broker()
    outgoing = Outgoing(broker)
    outgoing.start()
    outgoing.send({"receipt_id": "slow"})
    outgoing.send({"receipt_id": "late"})
    old = time.monotonic() + 0.3
    while time.monotonic() < old:
        time.sleep(0.05)
    outgoing.send({"receipt_id": "fresh"})
    broker.gate.wait(PATIENCE_SECONDS)
    outgoing.close()

    assert broker.asked == ["slow", "fresh"]


def test_a_line_before_a_slow_database_is_told_to_come_again(monkeypatch):
    monkeypatch.setattr("api.threads.PATIENCE_SECONDS", -1)

    async def story():
        threads = Threads()
        with pytest.raises(StoreBusy):
            await threads.run(lambda: pytest.fail("nobody waits for it any more"))
        threads.close()

    asyncio.run(story())


def test_an_error_nobody_foresaw_says_nothing_secret(caplog, monkeypatch):
    settings = Settings(role=Role.WEB, database_url="postgresql://127.0.0.1:1/x", redis_url="redis://127.0.0.1:1")
    app = create_app(settings)
    monkeypatch.setattr(app.state.door.keys, "caller", lambda _: 1 / 0 and "the secret")

    async def ask():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://door") as client:
            return await client.post("/v1/confirmations", json={})

    with caplog.at_level(logging.INFO):
        answer = asyncio.run(ask())
    app.state.door.threads.close()

    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert "division" not in answer.text + caplog.text


@pytest.mark.parametrize(("installed", "said"), [(None, "not migrated"), ("0000", "not migrated"), ("9999", "ok")])
def test_a_schema_that_is_newer_than_the_code_is_fine(monkeypatch, installed, said):
    """A deploy migrates first: the processes of before go on answering meanwhile."""
    monkeypatch.setattr(health, "installed", lambda _: installed)

    assert health._database(None) == said
