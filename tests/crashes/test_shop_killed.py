"""A worker is killed between any two statements of a transaction that is the shop's and ours: the two never part."""

from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import text

from confirmation.states import State
from sandbox.shop.tables import TABLES
from tests.crashes.aftermath import Found, check, look_at
from tests.crashes.ground import SHORT, ground
from tests.crashes.ways import CONFIRMED, DECLINED, REJECTED, VOIDED, WELL, Way
from tests.workers import until
from worker.hook import load
from worker.store.operating import Operating

#: The first test waits for all of them.
pytestmark = pytest.mark.timeout(300)

HOOK = "sandbox.shop.hook:hook"

USED = Way("has a used coupon", "rejected", "refused_by_hook", charges=0, told=(REJECTED,))
CANCELLED = Way("is cancelled by its buyer meanwhile", "voided", "refused_by_hook", cancels=1, told=(VOIDED,))
REFUNDED = Way("is voided by a person", "voided", "operator", cancels=1, sold=1, told=(CONFIRMED, VOIDED))

#: What the shop's order says in the end, and whether it has its coupon; None: somebody else has it.
SHOP_SAYS = {
    WELL: ("paid", True),
    DECLINED: ("failed", False),
    USED: ("placed", None),
    CANCELLED: ("cancelled", False),
    REFUNDED: ("refunded", False),
}

_RESERVE = "hold orders coupons check ours COMMIT"
_COMMIT = "hold orders check ours COMMIT"
_GIVE_BACK = "hold orders coupons check ours COMMIT"
_REFUSED_AT_RESERVE = "hold orders coupons ROLLBACK"
#: Whether the shop's no came of waiting for another receipt of the order.
_OWNED_BY_ANOTHER = "hold ROLLBACK"
_REFUSED_AT_COMMIT = "hold orders ROLLBACK"

#: The transactions on each way, and how many of them it shares with another way, where they are tried.
TRANSACTIONS = {
    WELL: ([_RESERVE, _COMMIT], 0),
    DECLINED: ([_RESERVE, _GIVE_BACK], 1),
    USED: ([_REFUSED_AT_RESERVE, _OWNED_BY_ANOTHER], 0),
    CANCELLED: ([_RESERVE, _REFUSED_AT_COMMIT, _GIVE_BACK], 1),
    REFUNDED: ([_GIVE_BACK], 0),
}

#: A buyer who changes his mind as soon as his payment has begun.
CHANGED_MINDS = """
CREATE TABLE shop.changed_minds (order_id text);
CREATE FUNCTION shop.change_mind() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF NEW.status = 'pending' AND EXISTS (SELECT FROM shop.changed_minds c WHERE c.order_id = NEW.order_id) THEN
        NEW.status = 'cancelled';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER change_mind BEFORE UPDATE ON shop.orders FOR EACH ROW EXECUTE FUNCTION shop.change_mind();
"""
PLACE = """
WITH coupon AS (INSERT INTO shop.coupons VALUES (:code, now() + interval '1 day', :taken_by) RETURNING code),
mind AS (INSERT INTO shop.changed_minds SELECT :order_id WHERE :changes)
INSERT INTO shop.orders (order_id, coupon) SELECT :order_id, code FROM coupon
"""
SAYS = """
SELECT o.order_id, o.status, c.taken_by, f.hooked
FROM shop.orders o JOIN shop.coupons c ON c.code = o.coupon JOIN payconfirm.confirmations f USING (order_id)
"""


@dataclass(frozen=True)
class Case:
    """A worker dies at this place: before a statement, or after the transaction's end; the nth time it comes there."""

    way: Way
    statement: str
    moment: str
    nth: int

    def __str__(self):
        return f"{self.way}: {self.moment} {self.statement} {self.nth}"


def cases():
    """Every place there is."""
    for way, (transactions, shared) in TRANSACTIONS.items():
        passed = []
        for number, transaction in enumerate(transactions):
            for statement in transaction.split():
                passed.append(statement)
                moments = ("before", "after") if statement.isupper() else ("before",)
                if number >= shared:
                    yield from (Case(way, statement, moment, passed.count(statement)) for moment in moments)


CASES = [*cases()]


@dataclass
class Aftermath:
    """What there was to see of all of them."""

    passages: dict[Way, list[str]]
    reached: dict[Case, bool]
    found: dict[Case, Found]
    says: dict[Case, tuple[Any, ...]]


@pytest.fixture(scope="module")
def aftermath(servers, template_database, tmp_path_factory):
    folder = tmp_path_factory.mktemp("shop")
    with ground(servers, template_database, folder, ORDER_HOOK=HOOK, **SHORT) as built:
        run(built, TABLES)
        run(built, CHANGED_MINDS)
        built.start("worker", WORKER_CONCURRENCY="8")
        built.start("worker", WORKER_CONCURRENCY="8")
        walks = dict(zip(TRANSACTIONS, begin(built, [*TRANSACTIONS]), strict=True))
        receipts = dict(zip(CASES, begin(built, [case.way for case in CASES]), strict=True))
        for way, receipt in walks.items():
            walk(built, way, receipt)
        for _case, worker, _came in built.at_their_places(CASES, lambda case: start(built, case, receipts[case])):
            worker.kill()
        built.start("relay")
        every = [*walks.values(), *receipts.values()]
        built.wait_for_all(every)
        found, says = look_at(built, every), what_the_shop_says(built)
        return Aftermath(
            passages={way: passed(built, str(way)) for way in TRANSACTIONS},
            reached={case: str(case) in built.notes.reached for case in CASES},
            found={case: found[receipt.id] for case, receipt in receipts.items()},
            says={case: says[receipt.document["order_id"]] for case, receipt in receipts.items()},
        )


def run(built, statement, **values):
    with built.house.engine.connect() as connection:
        if values:
            connection.execute(text(statement), values)
        else:
            connection.exec_driver_sql(statement)


def begin(built, ways):
    """Place an order for each way, and open its receipt; what a person will void is confirmed, and voided by him.

    No relay runs yet, so that nobody but whom we send looks at it.
    """
    receipts = built.open_receipts(ways)
    for receipt in receipts:
        order_id = receipt.document["order_id"]
        taken_by = "another" if receipt.way is USED else None
        changes = receipt.way is CANCELLED
        run(built, PLACE, code=f"for {order_id}", order_id=order_id, taken_by=taken_by, changes=changes)
    confirmed = [receipt for receipt in receipts if receipt.way is REFUNDED]
    built.house.push(*map(built.message, confirmed))
    until(lambda: all(built.house.states().get(receipt.id) == "confirmed" for receipt in confirmed))
    rows = Operating(built.house.engine, load(HOOK))
    assert all(rows.void(receipt.id, State.CONFIRMED, "kim", restock=False) for receipt in confirmed)
    return receipts


def start(built, who, receipt, at=None):
    """Send a worker on its way, to the place where it stops."""
    if isinstance(who, Case):
        at = [who.statement, who.moment, who.nth]
    message = built.message(receipt, again=receipt.way is REFUNDED)
    return built.watch(str(who), receipt, at, messages=[message], app="watched_shop")


def walk(built, way, receipt):
    """Let a worker walk the way to its end."""
    worker = start(built, way, receipt)
    until(lambda: built.notes.has_passed(str(way)))
    worker.kill()


def passed(built, who):
    return [name for name, _ in built.notes.passed[who]]


def what_the_shop_says(built):
    """Each order's status, who has its coupon, and what we believe that the shop knows."""
    return {row.order_id: (row.status, row.taken_by, row.hooked) for row in built.house.ask(SAYS)}


@pytest.mark.parametrize("way", TRANSACTIONS, ids=str)
def test_a_worker_passes_only_statements_that_are_tried_here(way, aftermath):
    """One that is new stands in no list, so nobody would die before it."""
    statements = [statement for transaction in TRANSACTIONS[way][0] for statement in transaction.split()]

    assert aftermath.passages[way] == [*statements, "ack"]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_shop_and_we_say_the_same_after_a_worker_was_killed(case, aftermath):
    """And it was charged at most once, its stock adds up, it was told once, and the audit has nothing to say."""
    assert aftermath.reached[case], "it never came to where it should die"
    found = aftermath.found[case]
    check(case.way, found)
    status, has_coupon = SHOP_SAYS[case.way]
    taken_by = {True: found.story["order_id"], False: None, None: "another"}[has_coupon]
    assert aftermath.says[case] == (status, taken_by, "committed" if case.way is WELL else None)
