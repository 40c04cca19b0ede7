"""A process notices that the database's clock was set forward, and doesn't believe it for a while."""

from uuid import UUID

import pytest

from confirmation.answers import Silence
from confirmation.confirmation import Hold, Job
from confirmation.order import Money, Order
from confirmation.pipeline import confirm
from confirmation.steadiness import Steadiness
from sandbox.twins import Clock, Fault, TwinReceipt, Twins

LOST = Fault(Silence("timeout"), acts=False)


class Process:
    """Claims something now and then, by two clocks."""

    def __init__(self):
        self.clock = Clock()
        self.steadiness = Steadiness()
        self.claim()

    def claim(self, answered_after=0.0):
        granted = self.clock.tick()
        self.clock.advance(answered_after)
        hold = Hold(UUID(int=1), granted, self.clock.now(), 10)
        self.steadiness.claimed(hold, self.clock.tick())

    @property
    def lasts(self):
        return self.steadiness.lasts(self.clock.tick())


@pytest.fixture
def process():
    return Process()


def test_a_clock_that_was_never_seen_to_jump_has_always_gone_steadily(process):
    process.clock.advance(3600)
    process.claim()

    assert process.lasts == float("inf")


def test_a_jump_forward_is_noticed_with_the_next_claim(process):
    process.clock.advance(100)
    process.clock.jump(5)
    process.claim()
    process.clock.advance(7)

    assert process.lasts == 7


def test_a_jump_back_takes_nothing_away_and_is_no_jump_forward(process):
    process.clock.jump(-300)
    process.claim()
    process.claim()

    assert process.lasts == float("inf")


def test_what_a_jump_back_took_is_missed_when_it_is_put_forward_again(process):
    process.clock.jump(-300)
    process.claim()
    process.clock.jump(300)
    process.claim()

    assert process.lasts == 0


def test_an_answer_that_took_long_is_no_jump(process):
    process.claim(answered_after=4)
    process.claim()
    process.claim(answered_after=4)

    assert process.lasts == float("inf")


@pytest.fixture
def twins():
    """A first submit that did nothing, looked at once since."""
    twins = Twins()
    order = Order("r1", "o1", Money(3000, "KRW"))
    twins.gateway.receipts["r1"] = TwinReceipt("o1", order.amount, api="v1")
    twins.gateway.tell("r1", "submit", LOST)
    twins.first = twins.world()
    confirm(Job("r1", order), twins.first)
    return twins


def submits(twins):
    return [name for name, _ in twins.gateway.calls].count("submit")


def carry_on(twins, world, seconds):
    until = twins.clock.tick() + seconds
    while twins.clock.tick() < until:
        twins.clock.advance(0.5)
        for job in twins.store.sweep():
            confirm(job, world)


def test_a_second_submit_waits_until_the_first_can_have_ended_whatever_the_databases_clock_says(twins):
    twins.clock.jump(600 - 60)
    carry_on(twins, twins.first, 20)
    first_20_seconds = submits(twins)
    carry_on(twins, twins.first, 20)

    assert (first_20_seconds, submits(twins)) == (1, 2)


def test_a_process_that_has_seen_no_jump_is_the_control(twins):
    twins.clock.jump(600 - 60)
    carry_on(twins, twins.world(), 20)

    assert submits(twins) == 2
