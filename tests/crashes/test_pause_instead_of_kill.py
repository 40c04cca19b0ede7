"""A worker stands still past its lease and another one finishes: when it goes on it changes nothing, and says so."""

import signal
import time
from dataclasses import dataclass
from io import StringIO

import pytest
from rich.console import Console

from tests.crashes.aftermath import check, look_at
from tests.crashes.ground import SHORT, came_true, ground
from tests.crashes.ways import CALLS, DECLINED, PAID, PASSAGES, STUCK, VOID, WELL, numbered
from tests.workers import PATIENCE_SECONDS
from worker.duty import explain
from worker.store.reading import Reading

#: The first test waits for all of them.
pytestmark = pytest.mark.timeout(600)

LOOK_AROUND_SECONDS = 0.2
#: Where a worker stops that has claimed its receipt: before each commit, and in each call before it, at its first byte,
#: while the gateway works, and before its answer is read.
MOMENTS = {**dict.fromkeys(CALLS, ("before", "first byte", "working", "unread")), "lock": (), "claim": (), "ack": ()}
#: A call that has begun finds its time up; a call that hasn't isn't made any more, so nothing was learnt.
NOTHING_LEARNT = "before"


@dataclass(frozen=True)
class Stop:
    """One place where a worker stands still."""

    way: object
    passage: str
    nth: int
    moment: str

    def __str__(self):
        return f"{self.way}: {self.moment} {self.passage}{f' {self.nth}' if self.nth > 1 else ''}"

    @property
    def learnt(self):
        """What a stale step must say that it had decided; None where it learnt nothing, "" whatever it is."""
        if self.passage == "reserve":
            return "reserve, it is paid" if self.way is VOID else "reserve"
        if self.passage not in CALLS:
            return self.passage.removeprefix("write:").replace("_", " ")
        return None if self.moment == NOTHING_LEARNT else ""


#: The ways, each in its own words. The receipt that stays in flight is in the same state whoever has it, so that only
#: the fence tells the two workers apart.
LINES = {way: PASSAGES[way, None] for way in (WELL, DECLINED, VOID)} | {
    STUCK: PASSAGES[WELL, "submit"].replace("commit", "wait")
}
ONLY_THE_FENCE = ("write:look_up", 1), ("look_up", 2), ("write:wait", 1)

STOPS = [
    Stop(way, passage, nth, moment)
    for way, line in LINES.items()
    for passage, nth in numbered(line)
    for moment in MOMENTS.get(passage, ("before",))
    if way is not STUCK or (passage, nth) in ONLY_THE_FENCE
]
#: This one's commit doesn't ask whose the row is.
UNFENCED = Stop(WELL, "write:commit", 1, "before")


@dataclass
class Seen:
    """A receipt as it was while its worker stood still, and after that one had gone on."""

    stopped: bool
    before: object
    after: object
    told: str
    rows: tuple


@pytest.fixture(scope="module")
def seen(servers, template_database, tmp_path_factory):
    with ground(servers, template_database, tmp_path_factory.mktemp("paused"), **SHORT) as built:
        built.start("worker", WORKER_CONCURRENCY="8")
        built.start("relay")
        ways = {**{stop: stop.way for stop in STOPS}, "unfenced": UNFENCED.way}
        receipts = dict(zip(ways, built.open_receipts(ways.values()), strict=True))
        asleep = stop_all(built, receipts)
        wait_for_others(built, receipts, "parked")
        before, rows_before = look_at(built, receipts.values()), rows(built)
        wake_all(built, asleep)
        rows_after = rows(built)
        land(built, receipts)
        wait_for_others(built, receipts)
        after = look_at(built, receipts.values())
        reading = Reading(built.house.engine)
        return {
            stop: Seen(
                stop in asleep, before[of.id], after[of.id], told(reading, of), (rows_before[of.id], rows_after[of.id])
            )
            for stop, of in receipts.items()
        }


def stop_all(built, receipts):
    """Send a worker to each place, where it stands still."""

    def start(stop):
        place, more = (stop, {}) if stop in STOPS else (UNFENCED, {"UNFENCED": "1"})
        return built.watch(str(stop), receipts[stop], [place.passage, place.moment, place.nth], **more)

    return {stop: worker for stop, worker, came in built.at_their_places(receipts, start) if came}


def wait_for_others(built, receipts, done="confirmed"):
    """Wait until every receipt has ended and was told, as far as they ever are; one in flight until it is `done`."""
    ends_at = time.monotonic() + 2 * PATIENCE_SECONDS
    wanted = {receipt.id: done if receipt.way is STUCK else receipt.way.state for receipt in receipts.values()}
    while time.monotonic() < ends_at:
        if wanted.items() <= standing(built).items() and not built.untold():
            return
        time.sleep(LOOK_AROUND_SECONDS)


def standing(built):
    """How each receipt stands: its state, or that another worker has it parked."""
    return {row.receipt_id: "parked" if row.parked else row.state for row in built.house.ask(STANDING)}


def land(built, receipts):
    """Have those in flight paid."""
    for receipt in receipts.values():
        if receipt.way is STUCK:
            built.house.control("PATCH", f"/sandbox/receipts/{receipt.id}", {"status": PAID})


def wake_all(built, asleep):
    """Let them go on, one after the other, each to the end of its message.

    Those in a call last: it has no answer any more, and after some of these in a row no gateway would be asked.
    """
    for stop, worker in sorted(asleep.items(), key=lambda one: one[0] in STOPS and one[0].moment != NOTHING_LEARNT):
        worker.send(signal.SIGCONT)
        came_true(lambda stop=stop: built.notes.has_passed(str(stop)))


STANDING = """
SELECT receipt_id, state, state = 'submitting' AND leased_until IS NULL AND attempts > 1 AS parked
FROM payconfirm.confirmations
"""
#: All that a worker may change, apart from when it is looked at next and what was seen last.
ROWS = """
SELECT c.receipt_id, jsonb_build_array(
    c.state, c.state_since, c.reason, c.message, c.sequence, c.owns_order, c.payment, c.submits, c.cancel_number,
    (SELECT jsonb_agg(r) FROM payconfirm.reservations r WHERE r.receipt_id = c.receipt_id),
    (SELECT jsonb_agg(s) FROM payconfirm.stock s WHERE c.items ? s.sku),
    (SELECT jsonb_agg(jsonb_build_array(o.id, o.sequence, o.document, o.published_at, o.place) ORDER BY o.sequence)
     FROM payconfirm.outbox o WHERE o.receipt_id = c.receipt_id)) AS all_of_it
FROM payconfirm.confirmations c
"""


def rows(built):
    """Each receipt's row, its stock and its announcements."""
    return {row.receipt_id: row.all_of_it for row in built.house.ask(ROWS)}


def told(reading, receipt):
    """What `python -m worker explain` shows a person."""
    out = StringIO()
    explain.show(reading.whole_story(receipt.id), Console(file=out, width=250))
    return out.getvalue()


@pytest.mark.parametrize("stop", [stop for stop in STOPS if stop.way is not STUCK], ids=str)
def test_another_finishes_what_a_stopped_worker_has_begun(stop, seen):
    assert seen[stop].stopped, "it never came to where it should stop"
    check(stop.way, seen[stop].before)


@pytest.mark.parametrize("stop", STOPS, ids=str)
def test_a_worker_that_goes_on_after_its_lease_changes_nothing(stop, seen):
    before, after = seen[stop].rows

    assert before == after
    check(stop.way, seen[stop].after)


@pytest.mark.parametrize("stop", STOPS, ids=str)
def test_the_lease_forbids_a_second_submit_and_a_second_cancel(stop, seen):
    calls = seen[stop].after.account["calls"]

    assert calls["approve"] == (stop.way is not VOID)
    assert calls["cancel"] == stop.way.cancels


@pytest.mark.parametrize("stop", STOPS, ids=str)
def test_what_it_learnt_is_kept_and_explained(stop, seen):
    stale = [step["decided"] for step in seen[stop].after.story["steps"] if step["stale"]]

    if stop.learnt:
        assert [words.partition(":")[0] for words in stale] == [stop.learnt]
    else:
        assert len(stale) == (stop.learnt is not None), seen[stop].told
    assert ("by a worker that had lost its claim" in seen[stop].told) == bool(stale)


def test_without_the_fence_a_stale_worker_would_be_seen(seen):
    """The control: this one's commit asks only for the receipt, and it is told twice."""
    before, after = seen["unfenced"].rows

    assert before != after
    with pytest.raises(AssertionError):
        check(UNFENCED.way, seen["unfenced"].after)
