"""Two receipts of one order, two windows of one buyer: one of them is paid, and the other's money isn't kept."""

import pytest

from tests.races.meeting import Between, Stop, in_line, stopped

SHELF = "SELECT FROM payconfirm.stock WHERE sku = 'tee' FOR UPDATE"
PAID = {"status": 1}
READY = {"status": 2}

ends = pytest.mark.parametrize(
    ("second_is", "end"),
    [
        pytest.param(READY, ("rejected", "order_already_paid"), id="ready"),
        pytest.param(PAID, ("voided", "order_already_paid"), id="paid"),
    ],
)


@pytest.fixture
def open_two(course):
    """Open two receipts of one order; the second as the gateway is to show it."""
    course.stock.set("tee", 10, "test")

    def opened(second_is):
        first = course.open(items={"tee": 1})
        return first, course.open(first.order_id, items={"tee": 1}, **second_is)

    return opened


def only_the_first_is_confirmed(course, first, second, end):
    assert course.state(first) == "confirmed"
    assert course.state(second) == end
    assert (course.kept(first), course.kept(second)) == (1, 0)
    assert (course.told(first), course.told(second)) == (["confirmed"], [end[0]])
    assert course.findings() == set()


@ends
@pytest.mark.parametrize("indexed", [True, False], ids=["with the index", "control: without the index"])
def test_two_that_reserve_at_the_same_moment(course, open_two, second_is, end, indexed):
    """
    Neither can see the other's row as it will be: only the unique index tells them apart.
    """
    if not indexed:
        course.run("DROP INDEX IF EXISTS payconfirm.one_payment_per_order")
    first, second = open_two(second_is)

    in_line(course.engine, SHELF, *[course.delivered(order, course.worker()) for order in (first, second)])

    if indexed:
        if course.state(second) == "received":  # the first wasn't decided yet when the second tried again
            course.look_again(second)
        assert course.submits(second) == 0
        only_the_first_is_confirmed(course, first, second, end)
    else:
        assert (course.state(first), course.state(second)) == ("confirmed", "confirmed")
        assert (course.kept(first), course.kept(second)) == (1, 1)
        assert course.findings() == {"one_owner"}


@ends
def test_the_second_waits_while_the_first_is_undecided(course, open_two, second_is, end):
    first, second = open_two(second_is)
    stop = Stop()

    with stopped(course.delivered(first, course.worker(Between(course.gateway, submit=stop))), stop):
        for look in (course.carry, course.look_again):
            look(second)
            assert course.state(second) == "received"
        assert course.row(second).due_at is not None
        assert course.submits(second) == 0

    course.look_again(second)
    only_the_first_is_confirmed(course, first, second, end)


@ends
def test_the_second_comes_once_the_first_is_confirmed(course, open_two, second_is, end):
    first, second = open_two(second_is)

    course.carry(first)
    course.carry(second)

    only_the_first_is_confirmed(course, first, second, end)


@pytest.mark.parametrize("second_is", [READY, PAID], ids=["ready", "paid"])
def test_the_second_is_confirmed_once_the_first_has_failed(course, open_two, second_is):
    first, second = open_two(second_is)
    course.sandbox.script("approve", "decline", receipt_id=first.receipt_id)
    stop = Stop()

    with stopped(course.delivered(first, course.worker(Between(course.gateway, submit=stop))), stop):
        course.carry(second)
        assert course.state(second) == "received"

    course.look_again(second)
    assert course.state(first) == ("rejected", "declined")
    assert course.state(second) == "confirmed"
    assert (course.kept(first), course.kept(second)) == (0, 1)
    assert course.findings() == set()


@ends
def test_the_first_is_decided_after_the_second_was_looked_up(course, open_two, second_is, end):
    """
    What the second has seen is from before; what it meets when it reserves is the first, confirmed.
    """
    first, second = open_two(second_is)
    stop = Stop()

    with stopped(course.delivered(second, course.worker(Between(course.gateway, look_up=stop))), stop):
        course.carry(first)

    only_the_first_is_confirmed(course, first, second, end)
