"""Many buyers for few units: none is sold twice, nobody waits for ever, and either guard alone would do."""

from itertools import cycle

import pytest

from confirmation.errors import StoreBusy
from tests import ledgers
from tests.races.meeting import at_once, in_line
from worker.store.ledger import Ledger

BUYERS, UNITS = 64, 10
#: Enough to see what one guard alone does.
FEWER = 24
#: So many threads has a worker, and a connection for each.
THREADS = 8
SHELF = "SELECT FROM payconfirm.stock WHERE sku = :sku FOR UPDATE"

#: The condition reads what nobody can change until this statement has ended. Without it, it sees what once was.
CONDITION_UNDER_LOCK = {"ORDER BY s.sku FOR UPDATE": "ORDER BY s.sku"}
IN_THE_OTHER_ORDER = {"ORDER BY s.sku FOR UPDATE": "ORDER BY s.sku DESC FOR UPDATE"}
RELEASED_IN_THE_OTHER_ORDER = {"ORDER BY sku FOR UPDATE": "ORDER BY sku DESC FOR UPDATE"}


def drop_check(course):
    course.run("ALTER TABLE payconfirm.stock DROP CONSTRAINT IF EXISTS stock_available_check")


@pytest.mark.parametrize(
    ("check", "condition", "buyers", "sold"),
    [
        pytest.param(True, True, BUYERS, UNITS, id="64, with both guards"),
        pytest.param(False, True, FEWER, UNITS, id="without the CHECK"),
        pytest.param(True, False, FEWER, UNITS, id="without the condition's lock"),
        pytest.param(False, False, BUYERS, BUYERS, id="control: 64, without both"),
    ],
)
def test_ten_units_are_sold_to_ten_of_many_buyers(course, check, condition, buyers, sold):
    """
    All of them stand before the shelf, and have seen it as it is, when the first may take from it.
    """
    course.stock.set("scarce", UNITS, "test")
    if not check:
        drop_check(course)
    without = None if condition else CONDITION_UNDER_LOCK
    workers = cycle([course.worker(without=without) for _ in range(buyers // THREADS)])
    orders = course.open_many([{"scarce": 1}] * buyers)

    in_line(course.engine, SHELF, *[course.delivered(order, next(workers)) for order in orders], sku="scarce")

    states = course.states()
    assert states.count("confirmed") == sold
    assert states.count(("rejected", "out_of_stock")) == buyers - sold
    assert course.sandbox.ledger()["totals"]["charges"] == sold
    assert course.stock.show("scarce")[0].available == UNITS - sold
    assert course.findings() == ({"stock"} if sold > UNITS else set())


def test_64_buyers_of_two_items_in_opposite_order_never_stand_in_each_others_way(course):
    for sku in ("cap", "tee"):
        course.stock.set(sku, UNITS, "test")
    workers = cycle([course.worker() for _ in range(BUYERS // THREADS)])
    orders = course.open_many([{"cap": 1, "tee": 1}, {"tee": 1, "cap": 1}] * (BUYERS // 2))

    at_once(*[course.delivered(order, next(workers)) for order in orders])

    assert course.states().count("confirmed") == UNITS
    assert course.run("SELECT FROM payconfirm.steps WHERE phase = 'park'") == [], "the database was busy"
    assert [shelf.available for shelf in course.stock.show()] == [0, 0]
    assert course.findings() == set()


@pytest.mark.parametrize("second", ["takes", "gives back"])
@pytest.mark.parametrize("in_order", [True, False], ids=["in order", "control: in any order"])
def test_shelves_are_taken_in_one_order_so_that_nobody_waits_for_each_other(course, second, in_order):
    """
    Both want three shelves, and the middle one is held until both have come as far as they can.
    """
    course.notice_deadlocks_soon()
    basket = {"a": 1, "m": 1, "z": 1}
    for sku in basket:
        course.stock.set(sku, UNITS, "test")
    orders = [ledgers.order(name, items=basket) for name in ("first", "second")]
    claims = [ledgers.claimed(course.ledger, order) for order in orders]
    other = course.new_engine()
    if second == "gives back":
        claims[1] = ledgers.reserve(course.ledger, claims[1])
    if not in_order:
        [(order, reverse)] = (IN_THE_OTHER_ORDER if second == "takes" else RELEASED_IN_THE_OTHER_ORDER).items()
        course.take_out(order, reverse, other)
    act = ledgers.reserve if second == "takes" else ledgers.rejected

    answers = in_line(
        course.engine,
        SHELF,
        lambda: ledgers.reserve(course.ledger, claims[0]),
        lambda: act(Ledger(other), claims[1]),
        sku="m",
    )

    assert any(isinstance(answer, StoreBusy) for answer in answers) != in_order
    assert course.findings() == set()
