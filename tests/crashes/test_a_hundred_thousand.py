"""The rules and the twins through deliveries, faults, kills, pauses, people and clocks that jump."""

import pytest

from sandbox.simulation import simulate


@pytest.mark.timeout(600)
def test_every_promise_is_kept_for_a_hundred_thousand_receipts():
    outcomes = simulate(2026, 100_000, processes=2)

    assert outcomes.total() == 100_000
    assert outcomes["confirmed"] > 100_000 / 3
