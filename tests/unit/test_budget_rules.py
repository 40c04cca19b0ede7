"""What the rules do when no call to the gateway is free."""

from dataclasses import replace
from datetime import timedelta

import pytest

from confirmation.confirmation import Job
from confirmation.order import Money, Order
from confirmation.pipeline import confirm
from confirmation.states import State
from sandbox.twins import TwinReceipt, Twins

ORDER = Order("r1", "o1", Money(3000, "KRW"))


class Grants:
    """A budget of so many calls, which remembers whether each was urgent."""

    def __init__(self, calls):
        self.calls = calls
        self.urgent = []

    def __call__(self, *, urgent):
        self.urgent.append(urgent)
        self.calls -= 1
        return self.calls >= 0


@pytest.fixture
def twins():
    twins = Twins()
    twins.gateway.receipts["r1"] = TwinReceipt("o1", Money(3000, "KRW"))
    return twins


def deliver(twins, budget):
    world = replace(twins.world(), budget=budget)
    confirm(Job("r1", ORDER), world)
    return twins.store.rows["r1"].confirmation


@pytest.mark.parametrize(("calls", "made"), [(0, []), (1, ["look_up"])])
def test_a_receipt_is_parked_and_nothing_held_when_no_call_is_free(twins, calls, made):
    row = deliver(twins, Grants(calls))

    assert (row.state, row.parks) == (State.RECEIVED, 1)
    assert [name for name, _ in twins.gateway.calls] == made
    assert twins.store.next_due() - twins.clock.now() < timedelta(seconds=2)


def test_money_that_must_go_back_does_not_wait_for_minutes_once_a_call_is_free(twins):
    """However often there was none: only what the gateway was asked in vain makes waits long."""
    twins.gateway.receipts["r1"].status, twins.gateway.receipts["r1"].amount = 1, Money(2000, "KRW")
    assert deliver(twins, Grants(1)).state is State.VOIDING
    twins.clock.advance(660)  # past the deadline, which bounds every wait before it
    looked_at_and_no_more = iter([True, False] * 20)

    for _ in range(20):
        twins.clock.advance(max((twins.store.next_due() - twins.clock.now()).total_seconds(), 0))
        for job in twins.store.sweep():
            confirm(job, replace(twins.world(), budget=lambda *, urgent: next(looked_at_and_no_more)))  # noqa: ARG005

    assert twins.store.rows["r1"].confirmation.state is State.VOIDING
    assert twins.store.next_due() - twins.clock.now() <= timedelta(seconds=10)


def test_a_look_up_and_a_submit_each_take_a_call_of_their_own(twins):
    budget = Grants(2)

    assert deliver(twins, budget).state is State.CONFIRMED
    assert budget.urgent == [True, True]


def test_what_nobody_waits_for_goes_after_those_who_wait(twins):
    twins.gateway.receipts["r1"].status = 77
    budget = Grants(9)
    row = deliver(twins, budget)
    assert row.state is State.REVIEW

    twins.clock.advance(10)
    for job in twins.store.sweep():
        confirm(job, replace(twins.world(), budget=budget))

    assert budget.urgent == [True, False]


def test_waiting_for_a_call_costs_no_lease(twins):
    """
    The lease ran while the call was waited for: a look-up begun at its end could outlive it.
    """

    def slow(*, urgent):
        twins.clock.advance(6)
        return urgent

    assert deliver(twins, slow).state is State.CONFIRMED
