"""A gateway that is away is spared, and what waited for it comes back in order."""

import math
import time
from datetime import timedelta

import pytest
import structlog
from sqlalchemy import text

from confirmation.answers import Absent, Refused, Silence
from confirmation.states import Reason
from tests import ledgers
from tests.integration.test_relay_schedule import Sent, make_due
from worker.broker.redis import make_redis
from worker.gateway import sparing
from worker.gateway.sparing import (
    LONGEST_PAUSE_SECONDS,
    MOST_SILENT,
    PROBE_SECONDS,
    SPARED,
    SparedGateway,
    away_seconds,
)
from worker.relay.sweep import SPARED as SENT_WHILE_AWAY
from worker.relay.sweep import Sweep
from worker.store.ledger import Ledger
from worker.store.schedule import Schedule

NO_WORD = Silence("timeout")
DEADLINE = timedelta(minutes=10)


class Scripted:
    """A gateway that answers every call the same, and counts them."""

    def __init__(self, answer):
        self.answer = answer
        self.asked = 0

    def look_up(self, *_, **__):
        self.asked += 1
        return self.answer

    submit = cancel = look_up


@pytest.fixture
def redis(redis_url):
    with make_redis(redis_url) as client:
        yield client


@pytest.fixture
def gateway():
    return Scripted(NO_WORD)


@pytest.fixture
def spared(gateway, redis):
    return SparedGateway(gateway, redis)


def look_up(spared, times=1):
    return [spared.look_up("r1", start_by=math.inf) for _ in range(times)]


def test_a_gateway_without_a_word_is_asked_a_few_times_a_second(gateway, spared):
    began = time.monotonic()
    look_up(spared, 400)
    took = time.monotonic() - began

    assert MOST_SILENT <= gateway.asked <= MOST_SILENT + 1 + took / PROBE_SECONDS


def test_going_away_and_coming_back_are_said_once(gateway, spared):
    with structlog.testing.capture_logs() as said:
        look_up(spared, MOST_SILENT + 5)
        gateway.answer = Absent()
        while look_up(spared) == [SPARED]:
            pass
        look_up(spared, 3)

    assert [line["event"] for line in said] == ["gateway.away", "gateway.back"]


def test_one_that_isnt_asked_is_no_word_and_says_so(spared):
    look_up(spared, MOST_SILENT + 1)

    assert look_up(spared) == [SPARED]


def test_all_processes_spare_it_together(gateway, spared, redis):
    look_up(spared, MOST_SILENT)
    asked = gateway.asked

    other = SparedGateway(gateway, redis)
    look_up(other, 20)

    assert gateway.asked <= asked + 2
    assert away_seconds(redis) >= 0


@pytest.mark.parametrize("word", [Absent(), Refused("RC_NOT_FOUND")])
def test_the_first_word_ends_it(gateway, spared, redis, word):
    look_up(spared, MOST_SILENT)
    gateway.answer = word
    while look_up(spared) == [SPARED]:
        pass

    assert look_up(spared, 5) == [word] * 5
    assert away_seconds(redis) is None


def test_a_receipt_that_never_gets_a_word_does_not_stop_the_others(gateway, spared, redis):
    for _ in range(MOST_SILENT * 3):
        gateway.answer = NO_WORD
        look_up(spared, MOST_SILENT - 1)
        gateway.answer = Absent()
        assert look_up(spared) == [Absent()]

    assert away_seconds(redis) is None


def test_a_submit_and_a_cancel_are_never_held_back(gateway, spared):
    look_up(spared, MOST_SILENT + 1)
    gateway.answer = Refused("RC_CONFIRM_FAILED")

    assert spared.submit("r1", start_by=math.inf) == gateway.answer
    look_up(spared, MOST_SILENT + 1)
    assert spared.cancel("r1", "c1", start_by=math.inf) == gateway.answer


def test_retry_after_is_obeyed_by_all_at_once(gateway, spared, redis):
    gateway.answer = Silence("http 429", ended=True, retry_after_seconds=7)
    look_up(spared)

    assert look_up(spared, 5) == [SPARED] * 5
    assert gateway.asked == 1
    assert 6 < pause(redis) <= 7


def test_a_word_of_another_call_does_not_end_the_pause_that_the_gateway_asked_for(gateway, spared):
    gateway.answer = Silence("http 429", ended=True, retry_after_seconds=7)
    look_up(spared)
    gateway.answer = Absent()

    spared.submit("r1", start_by=math.inf)

    assert look_up(spared) == [SPARED]


def test_a_pause_of_an_hour_is_not_obeyed_to_the_end(gateway, spared, redis):
    gateway.answer = Silence("http 429", ended=True, retry_after_seconds=3600)
    look_up(spared)

    assert pause(redis) <= LONGEST_PAUSE_SECONDS


@pytest.mark.parametrize("silence", [NO_WORD, Silence("http 429", ended=True, retry_after_seconds=60)])
def test_a_clock_of_redis_that_is_set_back_holds_nobody_up(gateway, spared, redis, monkeypatch, silence):
    """As after a failover to a server whose clock is behind: what was to be waited for lies an hour ahead."""
    gateway.answer = silence
    look_up(spared, MOST_SILENT)
    gateway.answer = Absent()
    for name in ("_MAY", "_SILENT", "_WORD"):
        script = getattr(sparing, name)
        monkeypatch.setattr(sparing, name, script.replace("tonumber(time[1])", "(tonumber(time[1]) - 3600)"))

    asked = gateway.asked
    look_up(spared, 2)

    assert gateway.asked == asked + 2
    assert away_seconds(redis) is None


def test_a_gateway_that_is_away_by_a_clock_that_was_set_back_is_spared_as_before(gateway, spared, redis, monkeypatch):
    look_up(spared, MOST_SILENT + 1)
    for name in ("_MAY", "_SILENT"):
        script = getattr(sparing, name)
        monkeypatch.setattr(sparing, name, script.replace("tonumber(time[1])", "(tonumber(time[1]) - 3600)"))
    asked, began = gateway.asked, time.monotonic()
    look_up(spared, 400)
    took = time.monotonic() - began

    assert gateway.asked <= asked + 2 + took / PROBE_SECONDS
    assert 3500 < away_seconds(redis) < 3700, "by the clock that was set back it is away from now on"


def test_a_gateway_that_is_away_since_a_time_ahead_is_away_for_no_time(spared, redis):
    look_up(spared, MOST_SILENT)
    redis.hset("payconfirm:gateway", "since", redis.time()[0] + 30)

    assert away_seconds(redis) == 0


def test_without_redis_every_call_is_made(gateway):
    nowhere = SparedGateway(gateway, make_redis("redis://127.0.0.1:1"))

    look_up(nowhere, MOST_SILENT * 2)

    assert gateway.asked == MOST_SILENT * 2


def pause(redis):
    """Seconds until the gateway may be asked again."""
    seconds, microseconds = redis.time()
    return float(redis.hget("payconfirm:gateway", "ask_at")) - seconds - microseconds / 1_000_000


# The sweep ------------------------------------------------------------------------------------------------------------


class Away:
    """What the sweep is told of the gateway."""

    def __init__(self, seconds):
        self.seconds = seconds

    def __call__(self):
        return self.seconds


def parked(engine, count, seconds):
    """Park so many receipts for so long; return their ids."""
    ledger = Ledger(engine)
    names = [f"r{number}" for number in range(count)]
    for name in names:
        ledgers.parked(ledger, ledgers.claimed(ledger, ledgers.order(name)), seconds)
    return names


def test_while_the_gateway_is_away_a_turn_sends_a_few_and_rests(engine):
    make_due(engine, *parked(engine, SENT_WHILE_AWAY + 5, 600))
    sent = Sent()

    assert not Sweep(Schedule(engine, DEADLINE), sent, Away(1.0)).turn()

    assert len(sent.messages) == SENT_WHILE_AWAY


def test_while_the_gateway_is_away_what_is_past_its_deadline_goes_first_and_all_of_it(engine):
    """Its buyer is told at that look, gateway or not; among thousands that wait it would be minutes late."""
    names = parked(engine, SENT_WHILE_AWAY * 4, 600)
    late, early = names[SENT_WHILE_AWAY * 2 :], names[: SENT_WHILE_AWAY * 2]
    make_due(engine, *early, ago="1 hour")
    make_due(engine, *late)
    aged(engine, late, DEADLINE)
    sent = Sent()

    Sweep(Schedule(engine, DEADLINE), sent, Away(1.0)).turn()

    first = [receipt_id for receipt_id, _ in sent.messages[: len(late)]]
    assert sorted(first) == sorted(late)
    assert len(sent.messages) == len(late) + SENT_WHILE_AWAY


def test_what_has_ended_or_is_before_people_is_never_too_late(engine):
    ledger = Ledger(engine)
    ledgers.rejected(ledger, ledgers.claimed(ledger, ledgers.order("ended")), Reason.NOT_READY, wait=timedelta())
    make_due(engine, "ended")
    aged(engine, ["ended"], DEADLINE)

    assert Schedule(engine, DEADLINE).take_late(1) == []


def aged(engine, names, age):
    """Have them come in so long ago."""
    with engine.connect() as connection:
        connection.execute(
            text("UPDATE payconfirm.confirmations SET created_at = created_at - :age WHERE receipt_id = ANY(:names)"),
            {"age": age, "names": names},
        )


def test_when_it_is_back_what_waits_for_long_is_looked_at_now(engine):
    names, sent, away = parked(engine, 3, 600), Sent(), Away(30.0)
    sweep = Sweep(Schedule(engine, DEADLINE), sent, away)
    sweep.turn()
    assert sent.messages == []

    away.seconds = None
    while sweep.turn():
        pass

    assert sorted(receipt_id for receipt_id, _ in sent.messages) == names


def test_what_was_parked_before_the_gateway_went_away_or_has_ended_keeps_its_time(engine):
    parked(engine, 2, 600)
    ledger, sent, away = Ledger(engine), Sent(), Away(30.0)
    late = ledgers.claimed(ledger, ledgers.order("late"))
    ledgers.rejected(ledger, late, Reason.NOT_READY, wait=timedelta(minutes=1))
    with engine.connect() as connection:
        connection.execute(
            text(
                "UPDATE payconfirm.confirmations SET updated_at = updated_at - interval '2 minutes'"
                " WHERE receipt_id = 'r0'"
            )
        )
    sweep = Sweep(Schedule(engine, DEADLINE), sent, away)
    sweep.turn()

    away.seconds = None
    while sweep.turn():
        pass

    assert [receipt_id for receipt_id, _ in sent.messages] == ["r1"]


def test_it_is_woken_once(engine):
    sent, away = Sent(), Away(30.0)
    sweep = Sweep(Schedule(engine, DEADLINE), sent, away)
    sweep.turn()
    away.seconds = None
    while sweep.turn():
        pass

    parked(engine, 1, 600)
    assert not sweep.turn()

    assert sent.messages == []
