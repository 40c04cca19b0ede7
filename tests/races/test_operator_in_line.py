"""A person's act and a worker's commit on one row, in either order. `test_operator.py` has them meet as they come."""

from dataclasses import replace
from threading import Event

import pytest

from confirmation.errors import ClaimLost
from confirmation.operating import NotDone, may, retry, void
from confirmation.operators import PHASE, Act
from confirmation.resolving import Resolving, Word
from confirmation.states import State
from tests.races import receipts
from tests.races.meeting import Between, Stop, in_line, stopped, two_in_line
from tests.workers import PATIENCE_SECONDS
from worker.store import operating
from worker.store.engine import one
from worker.store.ledger import Ledger
from worker.store.operating import Operating

in_either_order = pytest.mark.parametrize("person_first", [True, False], ids=["person first", "worker first"])

CLAIM = {
    " AND fence IS NOT DISTINCT FROM CAST(%(seen_fence)s AS uuid)": "",
    "\n  AND (leased_until IS NULL OR leased_until <= clock_timestamp())": "",
}
WRITE = {" AND c.fence = CAST(%(fence)s AS uuid)": "", " AND c.state = %(from_state)s": ""}


def meet(course, order, person, *, person_first, without=None):
    """Let a person's act meet the commit of a worker that has looked; give what became of each."""
    stop = Stop()
    with stopped(
        course.swept(order, course.worker(Between(course.gateway, look_up=stop), without=without)), stop
    ) as at:
        return two_in_line(
            course.engine,
            receipts.ROW,
            person,
            stop.carry_on(at),
            other_first=not person_first,
            id=order.receipt_id,
        )


def void_by_kim(course, order, hands=Operating):
    """Have the money sent back of a receipt that stands as it does now, as far as Kim knows."""
    rows = hands(course.engine)
    seen = may(rows, Act.VOID, order.receipt_id)
    return lambda: void(rows, seen, "kim", restock=True)


@in_either_order
def test_void_and_the_commit_that_confirms(course, person_first):
    order = receipts.in_review(course)

    voided, worked = meet(course, order, void_by_kim(course, order), person_first=person_first)

    course.settle(order)
    if person_first:
        assert isinstance(worked, ClaimLost)
        assert course.state(order) == ("voided", "operator")
        assert course.told(order) == ["review", "voided"]
    else:
        assert isinstance(voided, NotDone)
        assert course.state(order) == "confirmed"
        assert course.told(order) == ["review", "confirmed"]
    assert course.kept(order) == (0 if person_first else 1)
    assert course.stock.show("tee")[0].sold == course.kept(order)
    assert course.findings() == set()


class Careless(Operating):
    """Hands that void whatever they find once it is their turn."""

    def _void(self, connection, values):
        found = one(connection, operating._TURN, values)
        return super()._void(connection, values | {"from_state": found["state"]})


def test_control_a_void_that_asks_not_what_was_seen(course):
    """
    Kim saw a review and sends its money back; by then it is confirmed, and the buyer was told so.
    """
    order = receipts.in_review(course)

    meet(course, order, void_by_kim(course, order, Careless), person_first=False)

    course.settle(order)
    assert course.told(order) == ["review", "confirmed", "voided"]


@in_either_order
def test_void_of_what_was_confirmed_and_the_commit_of_a_look_at_it(course, person_first):
    """
    The look changes nothing, so the void finds what the person saw, whoever comes first.
    """
    course.stock.set("tee", 10, "test")
    order = course.open(items={"tee": 1})
    course.carry(order)
    course.ledger.ask(order.receipt_id)

    _, worked = meet(course, order, void_by_kim(course, order), person_first=person_first)

    assert isinstance(worked, ClaimLost) == person_first
    course.settle(order)
    assert course.state(order) == ("voided", "operator")
    assert course.told(order) == ["confirmed", "voided"]
    account = course.account(order)
    assert (account["charges"], account["cancels"]) == (1, 1)
    assert course.findings() == set()


@pytest.mark.parametrize(
    ("person_first", "without"),
    [
        pytest.param(True, {}, id="person first"),
        pytest.param(False, {}, id="worker first"),
        pytest.param(True, receipts.ASKED, id="control: person first, and nothing remembers it"),
    ],
)
def test_retry_and_the_commit_that_plans_no_further_look(course, person_first, without):
    order = receipts.at_its_last_look(course)
    rows = Operating(course.engine)

    meet(
        course,
        order,
        lambda: retry(rows, order.receipt_id, "kim"),
        person_first=person_first,
        without=without,
    )

    row = course.row(order)
    assert row.due is (None if without else True)
    assert row.attempts == 2


class Hesitating(Operating):
    """A person's hands, which stop between reading how the row stands and claiming it."""

    def __init__(self, engine, stop, *, before):
        super().__init__(engine)
        self._stop, self._readings_left = stop, before

    def standing(self, receipt_id):
        seen = super().standing(receipt_id)
        self._readings_left -= 1
        if self._readings_left == 0:
            self._stop()
        return seen


def say_that_it_failed(rows, world, order):
    return Resolving(rows, world).resolve(order.receipt_id, Word(State.REJECTED, force=True, by="kim"))


#: `resolve` reads a row to see whether that may be done, to look at it, and to claim it for the person's word.
THE_WORDS_CLAIM = 3


@in_either_order
def test_a_persons_word_and_the_claim_of_a_worker_that_finds_it_paid(course, person_first):
    """
    The gateway had no clear word for the person, and has one a moment later. The first to claim ends it. Where that is
    the person, who says that it failed, the next look finds the money and sends it back.
    """
    order = receipts.in_review(course, odd_looks=2)
    stop = Stop()
    rows = Hesitating(course.engine, stop, before=THE_WORDS_CLAIM)

    with stopped(lambda: say_that_it_failed(rows, course.worker(), order), stop) as person:
        said, _ = two_in_line(
            course.engine,
            receipts.ROW,
            stop.carry_on(person),
            course.swept(order),
            other_first=not person_first,
            id=order.receipt_id,
        )

    assert isinstance(said, NotDone) == (not person_first)
    if person_first:
        course.look_again(order)
    assert course.told(order) == ["review", *(["rejected", "voided"] if person_first else ["confirmed"])]
    assert course.kept(order) == (0 if person_first else 1)
    assert course.findings() == set()


class Late(Ledger):
    """A store that writes a person's word only once a worker has looked."""

    def __init__(self, engine, looked):
        super().__init__(engine)
        self._looked = looked

    def write(self, commit):
        assert commit.step.phase != PHASE or self._looked.wait(PATIENCE_SECONDS)
        return super().write(commit)


def test_control_a_word_and_a_commit_that_ask_not_whose_the_row_is(course):
    """
    Both have claimed it, and both end it: those who wait are told that it failed, and then that it was paid.
    """
    order = receipts.in_review(course, odd_looks=2)
    stop, looked, said = Stop(), Event(), Event()
    careless = course.worker(without=CLAIM | WRITE)
    rows = Hesitating(course.engine, stop, before=THE_WORDS_CLAIM)
    person = replace(careless, store=Late(careless.store._engine, looked))

    def resolve():
        say_that_it_failed(rows, person, order)
        said.set()

    def look():
        looked.set()
        assert said.wait(PATIENCE_SECONDS)

    with stopped(resolve, stop) as word:
        worker = course.worker(Between(course.gateway, look_up=look), without=CLAIM | WRITE)
        in_line(course.engine, receipts.ROW, stop.carry_on(word), course.swept(order, worker), id=order.receipt_id)

    assert course.told(order) == ["review", "rejected", "confirmed"]
