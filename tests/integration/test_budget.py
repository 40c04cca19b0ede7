"""The budget on a real Redis: one rate for all, and those who wait first."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from worker.broker.redis import make_redis
from worker.gateway.budget import BURST_SECONDS, PATIENCE_SECONDS, Budget

RATE = 50


class Sleeps:
    """Adds the waits up, so that a test of many seconds takes none."""

    def __init__(self):
        self.waits = []

    def __call__(self, seconds):
        self.waits.append(seconds)


@pytest.fixture
def redis(redis_url):
    with make_redis(redis_url) as client:
        yield client


def take_all(budgets, *, urgent):
    """Take calls from several threads and budgets until none is free; say how many were."""
    with ThreadPoolExecutor(8) as pool:
        taken = pool.map(lambda number: budgets[number % len(budgets)](urgent=urgent), range(400))
        return sum(taken)


def test_two_processes_share_one_rate(redis):
    began = time.monotonic()

    taken = take_all([Budget(redis, RATE, Sleeps()), Budget(redis, RATE, Sleeps())], urgent=True)

    most = RATE * (PATIENCE_SECONDS + BURST_SECONDS + time.monotonic() - began) + 1
    assert RATE * PATIENCE_SECONDS <= taken <= most


def test_a_full_redis_still_knows_the_rate(redis):
    """
    Else each process would keep it by itself, just when a backlog is worked off.
    """
    redis.config_set("maxmemory", 1)
    try:
        began = time.monotonic()
        taken = take_all([Budget(redis, RATE, Sleeps()), Budget(redis, RATE, Sleeps())], urgent=True)
    finally:
        redis.config_set("maxmemory", 0)

    assert taken <= RATE * (PATIENCE_SECONDS + BURST_SECONDS + time.monotonic() - began) + 1


def test_those_who_wait_are_spread_over_the_seconds(redis):
    sleeps = Sleeps()
    began = time.monotonic()

    take_all([Budget(redis, RATE, sleeps)], urgent=True)
    took = time.monotonic() - began

    assert max(sleeps.waits) <= PATIENCE_SECONDS
    last_second = [wait for wait in sleeps.waits if wait > PATIENCE_SECONDS - 1]
    assert len(last_second) <= RATE * (1 + took) + 1


def test_what_nobody_waits_for_takes_only_what_is_free_now_and_a_buyer_still_gets_a_call(redis):
    budget = Budget(redis, RATE, Sleeps())

    tidying = take_all([budget], urgent=False)

    assert tidying <= RATE * (BURST_SECONDS + 2)
    assert budget(urgent=True)


def test_without_redis_each_process_keeps_the_rate_by_itself():
    with make_redis("redis://127.0.0.1:1/0") as nobody:
        budget = Budget(nobody, RATE, Sleeps())
        began = time.monotonic()

        taken = take_all([budget], urgent=True)

        most = RATE * (PATIENCE_SECONDS + BURST_SECONDS + time.monotonic() - began) + 1
        assert RATE * PATIENCE_SECONDS <= taken <= most
