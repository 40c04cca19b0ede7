"""Two deliveries of one receipt: one of them does the work, with the lock, without its server, and when it is lost."""

import threading

import pytest

from confirmation.confirmation import Job
from confirmation.pipeline import confirm
from tests.races import receipts
from tests.races.meeting import Between, Stop, at_once, in_line, stopped
from tests.workers import PATIENCE_SECONDS
from worker.store.statements import KEEP

#: A job claims only the row that was never claimed; every write only the row of its own claim, as that knows it.
CLAIM = {"c.fence IS NULL AND c.state = 'received'\n  AND ": ""}
FENCE = {" AND c.fence = CAST(%(fence)s AS uuid)": ""}
STATE = {" AND c.state = %(from_state)s": ""}


def once(course, order):
    """One submit, one charge, one event, and nothing that doesn't add up."""
    assert course.state(order) == "confirmed"
    assert (course.submits(order), course.charges(order)) == (1, 1)
    assert course.told(order) == ["confirmed"]
    assert course.findings() == set()


@pytest.mark.parametrize("deliveries", [2, 8])
def test_deliveries_at_once_with_the_lock(course, deliveries):
    order = course.open()

    at_once(*[course.delivered(order, course.locked_worker()) for _ in range(deliveries)])

    once(course, order)


def test_a_delivery_that_meets_the_lock_goes_and_asks_the_gateway_nothing(course):
    order, stop = course.open(), Stop()

    with stopped(course.delivered(order, course.locked_worker(Between(course.gateway, look_up=stop))), stop):
        met = course.delivered(order, course.locked_worker())()
        assert not met.can_move
        assert course.account(order)["calls"]["receipt"] == 1

    once(course, order)
    assert course.row(order).attempts == 1


def test_the_lock_is_lost_while_the_first_delivery_is_at_the_gateway(course):
    order, stop = course.open(), Stop()

    with stopped(course.delivered(order, course.locked_worker(Between(course.gateway, submit=stop))), stop):
        course.new_redis().flushdb()
        second = course.delivered(order, course.locked_worker())()
        assert not second.can_move

    once(course, order)
    assert course.row(order).attempts == 1


def test_deliveries_at_once_while_the_locks_server_is_away(course):
    """
    Both hold the lock, and both come to the row before it is there: the index makes them stand in line.
    """
    order = course.open()
    runs = [course.delivered(order, course.worker()) for _ in range(2)]

    in_line(course.engine, KEEP, *runs, **course.as_kept(order))

    once(course, order)
    assert course.row(order).attempts == 1


def test_copies_of_the_sweeps_message_at_once_while_the_locks_server_is_away(course):
    order = course.open()
    course.ledger.claim(Job(order.receipt_id, order), 0)
    course.make_due(order)
    runs = [course.swept(order) for _ in range(3)]

    in_line(course.engine, receipts.ROW, *runs, id=order.receipt_id)

    once(course, order)
    assert course.row(order).attempts == 2


@pytest.mark.parametrize(
    ("without", "submits"),
    [
        pytest.param({}, 1, id="with every guard"),
        pytest.param(CLAIM, 1, id="without the claim's"),
        pytest.param(CLAIM | STATE, 1, id="only the fence"),
        pytest.param(CLAIM | FENCE, 1, id="only the state"),
        pytest.param(CLAIM | FENCE | STATE, 2, id="control: without any"),
    ],
)
def test_two_that_have_both_seen_it_ready_submit_it_once(course, without, submits):
    """
    Both have the gateway's word that it is ready when the first may go on. The gateway itself charges once, whoever
    asks; so what is counted is how often it was asked, and what the buyer's shop is told.
    """
    order = course.open()
    seen = threading.Barrier(2 if without else 1)
    gateway = Between(course.gateway, look_up=lambda: seen.wait(PATIENCE_SECONDS))

    at_once(*[course.delivered(order, course.worker(gateway, without=without)) for _ in range(2)])

    assert course.state(order) == "confirmed"
    assert course.submits(order) == submits
    assert course.told(order) == ["confirmed"] * submits


def test_a_job_and_the_sweeps_message_for_a_row_that_nobody_has_claimed(course):
    order = course.open()
    course.ledger.keep(order, 0)
    world = course.worker()
    never_claimed = Job(order.receipt_id)

    in_line(
        course.engine,
        receipts.ROW,
        course.delivered(order, course.worker()),
        lambda: confirm(never_claimed, world),
        id=order.receipt_id,
    )

    once(course, order)
    assert course.row(order).attempts == 1
