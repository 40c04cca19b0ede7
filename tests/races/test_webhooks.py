"""The gateway's webhooks against a worker: a look that was asked for is never lost, and brings about nothing twice.

The webhooks are posted to a real `python -m api`. Why an asked look is kept: decision note 0001.
"""

from contextlib import closing, contextmanager
from threading import Condition, Event, Thread

import httpx
import pytest

from confirmation.confirmation import Job
from confirmation.pipeline import confirm
from tests.integration.web_process import shared_door
from tests.races import receipts
from tests.races.course import Course
from tests.races.meeting import Between, Stop, stopped, two_in_line
from tests.workers import PATIENCE_SECONDS
from worker.store.schedule import Lane, Schedule

PAID = 1

#: A webhook stands in a line for longer than it does elsewhere. A lease has room for one statement.
PATIENT = {"LOCK_SECONDS": "9", "STATEMENT_SECONDS": "9", "LOOKUP_SECONDS": "1", "SUBMIT_SECONDS": "1"}
SENDERS = 6
#: So many are answered between any two steps of the worker.
FLOOD = 30


@pytest.fixture(scope="module")
def web(servers, template_database, tmp_path_factory):
    with shared_door(servers, template_database, tmp_path_factory.mktemp("web"), **PATIENT) as web:
        yield web


@pytest.fixture
def course(web, redis_url, running_gateway):
    """The course on the database of the web process."""
    running_gateway.reset()
    with closing(Course(web.addresses["DATABASE_URL"], redis_url, running_gateway)) as course:
        yield course


def hook(client, order):
    answer = client.post("/v1/webhooks/bootpay", json={"receipt_id": order.receipt_id, "status": "1"})
    assert answer.status_code == 200, answer.text


def hook_and(web, course, order, run, *, hook_first):
    """Let a webhook and what a worker does meet on the row."""
    two_in_line(
        course.engine,
        receipts.ROW,
        lambda: hook(web.client, order),
        run,
        other_first=not hook_first,
        id=order.receipt_id,
    )


class Flood:
    """Webhooks about one receipt, from several senders at once, for as long as the block lasts."""

    def __init__(self, url, order):
        self._url, self._order = url, order
        self._over, self._answered, self._more = Event(), 0, Condition()
        self._threads = [Thread(target=self._send) for _ in range(SENDERS)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        for thread in self._threads:
            thread.join()

    def wash_over(self):
        """Wait until many more of them were answered."""
        with self._more:
            enough = self._answered + FLOOD
            assert self._more.wait_for(lambda: self._answered >= enough, PATIENCE_SECONDS)

    def _send(self):
        with httpx.Client(base_url=self._url, timeout=PATIENCE_SECONDS) as client:
            while not self._over.is_set():
                hook(client, self._order)
                with self._more:
                    self._answered += 1
                    self._more.notify_all()


@contextmanager
def sweeping(course):
    """For as long as the block lasts, a second worker gets whatever the sweep sends."""
    over, world = Event(), course.worker()
    schedule = Schedule(course.new_engine(), world.terms.deadline)

    def sweep():
        while not over.is_set():
            for row in [row for lane in Lane for row in schedule.take(lane, 100)]:
                confirm(Job(row.receipt_id, fence=row.fence), world)

    thread = Thread(target=sweep)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_a_flood_of_them_doubles_nothing(web, course):
    """
    They come between any two steps, the row is due all the time, and another worker gets every message of the sweep.
    """
    course.stock.set("tee", 10, "test")
    order = course.open(items={"tee": 1})

    with Flood(web.url, order) as flood, sweeping(course):
        gateway = Between(course.gateway, look_up=flood.wash_over, submit=flood.wash_over)
        course.delivered(order, course.worker(gateway))()
        flood.wash_over()

    course.settle(order)
    assert course.state(order) == "confirmed"
    assert (course.submits(order), course.charges(order)) == (1, 1)
    assert course.told(order) == ["confirmed"]
    assert course.findings() == set()


@pytest.mark.parametrize("call", ["look_up", "submit"])
@pytest.mark.parametrize("hook_first", [True, False], ids=["hook first", "commit first"])
def test_one_at_the_very_moment_of_a_commit_that_goes_well(web, course, call, hook_first):
    order, stop = course.open(), Stop()
    with stopped(course.delivered(order, course.worker(Between(course.gateway, **{call: stop}))), stop) as worker:
        hook_and(web, course, order, stop.carry_on(worker), hook_first=hook_first)

    assert course.row(order).attempts == 1
    course.settle(order)
    assert course.state(order) == "confirmed"
    assert (course.submits(order), course.charges(order)) == (1, 1)
    assert course.told(order) == ["confirmed"]
    assert course.findings() == set()


@pytest.fixture
def rejected(course):
    return receipts.at_its_last_look(course)


@pytest.mark.parametrize(
    ("hook_first", "without"),
    [
        pytest.param(True, {}, id="hook first"),
        pytest.param(False, {}, id="commit first"),
        pytest.param(True, receipts.ASKED, id="control: hook first, and nothing remembers it"),
    ],
)
def test_the_buyer_pays_between_the_last_look_and_its_commit(web, course, rejected, hook_first, without):
    """
    The look has seen it unpaid, and what it writes is that nobody need look again. Whoever loses the webhook, too,
    keeps money for an order that is rejected.
    """
    stop = Stop()
    last_look = course.swept(rejected, course.worker(Between(course.gateway, look_up=stop), without=without))
    with stopped(last_look, stop) as worker:
        course.sandbox.change(rejected.receipt_id, status=PAID)
        hook_and(web, course, rejected, stop.carry_on(worker), hook_first=hook_first)

    course.settle(rejected)
    assert course.state(rejected) == (("rejected", "deadline_exceeded") if without else ("voided", "late_approval"))
    assert course.kept(rejected) == (1 if without else 0)
    assert course.told(rejected) == (["rejected"] if without else ["rejected", "voided"])


@pytest.mark.parametrize("hook_first", [True, False], ids=["hook first", "claim first"])
def test_one_at_the_very_moment_of_a_claim(web, course, rejected, hook_first):
    """
    The look of that claim comes after the payment, so it sees it; a second look, should there be one, adds nothing.
    """
    course.sandbox.change(rejected.receipt_id, status=PAID)

    hook_and(web, course, rejected, course.swept(rejected), hook_first=hook_first)

    course.settle(rejected)
    assert course.state(rejected) == ("voided", "late_approval")
    account = course.account(rejected)
    assert (account["charges"], account["cancels"]) == (1, 1)
    assert course.told(rejected) == ["rejected", "voided"]
