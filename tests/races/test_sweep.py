"""The sweep against a worker that is still on the row: nobody works on it twice, and what it learnt is kept."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from confirmation.confirmation import Job
from confirmation.errors import ClaimLost
from confirmation.pipeline import confirm
from confirmation.ports import Terms
from tests.races import receipts
from tests.races.meeting import Between, Stop, held, stopped, two_in_line, wait_for_line
from worker.store.schedule import Lane, Schedule

SHELF = "SELECT FROM payconfirm.stock WHERE sku = 'tee' FOR UPDATE"

LEASE = {"\n  AND (leased_until IS NULL OR leased_until <= clock_timestamp())": ""}
SEEN_FENCE = {" AND fence IS NOT DISTINCT FROM CAST(%(seen_fence)s AS uuid)": ""}

#: The commits of a worker, by the answer that it has when it makes them.
RESERVE, COMMIT, PARK = "look_up", "submit", "park"


def due(engine):
    """What one turn of the sweep sends for rows whose lease is over: the jobs of its messages."""
    taken = Schedule(engine, Terms().deadline).take(Lane.LEASED, 100)
    return [Job(row.receipt_id, fence=row.fence) for row in taken]


@pytest.fixture
def order(course):
    course.stock.set("tee", 10, "test")
    return course.open(items={"tee": 1})


@pytest.fixture
def working(course, order):
    """A worker that stands before one of its commits, as the row says its lease is over: the sweep has found it."""

    def stand(commit):
        stop = Stop()
        if commit == PARK:
            course.sandbox.script("receipt", "no_answer", receipt_id=order.receipt_id, times=2)
        gateway = Between(course.gateway, **{"look_up" if commit == PARK else commit: stop})
        return stop, stopped(course.delivered(order, course.worker(gateway)), stop)

    return stand


def once(course, order):
    assert course.state(order) == "confirmed"
    assert (course.submits(order), course.charges(order)) == (1, 1)
    assert course.told(order) == ["confirmed"]
    assert course.findings() == set()


def race(course, order, working, commit, *, claim_first):
    """Let the sweep's message and the worker's commit meet on the row; give what became of each."""
    stop, standing = working(commit)
    with standing as worker:
        course.make_due(order)
        [job] = due(course.engine)
        second = course.worker()
        return two_in_line(
            course.engine,
            receipts.ROW,
            lambda: confirm(job, second),
            stop.carry_on(worker),
            other_first=not claim_first,
            id=order.receipt_id,
        )


@pytest.mark.parametrize("commit", [RESERVE, COMMIT])
def test_the_commit_comes_first_and_the_message_finds_nothing_to_do(course, order, working, commit):
    swept, worked = race(course, order, working, commit, claim_first=False)

    assert not swept.can_move
    assert worked.state == "confirmed"
    assert course.row(order).attempts == 1
    once(course, order)


@pytest.mark.parametrize("commit", [RESERVE, COMMIT, PARK])
def test_the_claim_comes_first_and_the_commit_changes_nothing(course, order, working, commit):
    swept, worked = race(course, order, working, commit, claim_first=True)

    assert swept.state == "confirmed"
    assert isinstance(worked, ClaimLost)
    assert [step for step in course.decided(order) if step.startswith("(")] == [
        {RESERVE: "(reserve)", COMMIT: "(commit)", PARK: "(wait)"}[commit]
    ]
    assert course.row(order).attempts == 2
    once(course, order)


def test_the_worker_parks_first_and_the_message_goes_on(course, order, working):
    swept, worked = race(course, order, working, PARK, claim_first=False)

    assert worked.state == "received"
    assert swept.state == "confirmed"
    assert course.row(order).attempts == 2
    once(course, order)


@pytest.mark.parametrize(
    ("without", "workers"), [({}, 1), (LEASE, 2)], ids=["with the lease", "control: without the lease"]
)
def test_nobody_claims_a_row_that_a_worker_is_on(course, order, working, without, workers):
    """
    A look was asked for, so the row is due, and the sweep sends it: with the right fence, while the lease runs. Who
    claimed it all the same would have the worker's answer thrown away: the money has moved, and its word is stale.
    """
    _, standing = working(COMMIT)
    with standing as worker:
        course.ledger.ask(order.receipt_id)
        [job] = due(course.engine)
        second = confirm(job, course.worker(without=without))

    assert second.can_move is False
    assert course.row(order).attempts == workers
    assert isinstance(worker.result(), ClaimLost) == (workers > 1)
    once(course, order)


@pytest.mark.parametrize(
    ("without", "claims"), [({}, 2), (SEEN_FENCE, 3)], ids=["with the fence", "control: without the fence"]
)
def test_a_second_copy_of_the_sweeps_message_starts_no_work(course, order, working, without, claims):
    """
    The first copy has been worked on and the row is parked when the second is read.
    """
    _, standing = working(PARK)
    with standing:
        course.make_due(order)
        [job] = due(course.engine)
    course.sandbox.script("receipt", "no_answer", receipt_id=order.receipt_id, times=0)

    confirm(job, course.worker())
    confirm(job, course.worker(without=without))

    assert course.state(order) == "received"
    assert course.row(order).attempts == claims


@pytest.mark.parametrize("skips", [True, False], ids=["skips it", "control: waits for it"])
def test_a_commit_that_hangs_holds_up_no_sweep(course, order, working, skips):
    """
    A worker's commit waits for the shelf; its own row is locked, due, and not the only one that is due.
    """
    other = course.open()
    course.ledger.claim(Job(other.receipt_id, other), 0)
    course.make_due(other)
    relay = course.new_engine()
    if not skips:
        course.take_out(" SKIP LOCKED", "", relay)
    stop, standing = working(RESERVE)

    with standing, held(course.engine, SHELF) as let_go, ThreadPoolExecutor(1) as pool:
        course.make_due(order)
        stop.go_on()
        wait_for_line(course.engine, 1)
        sweep = pool.submit(due, relay)
        wait_for_line(course.engine, 2, sweep)
        assert sweep.done() == skips
        let_go()

    assert [job.receipt_id for job in sweep.result()] == [other.receipt_id]
    once(course, order)
