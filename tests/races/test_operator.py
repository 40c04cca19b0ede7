"""A person against a worker, or another person, at the same moment: one wins, and nothing is done twice."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Barrier, Event

import pytest
from rich.console import Console
from sqlalchemy import text

from confirmation import operators
from confirmation.confirmation import Job
from confirmation.errors import ClaimLost
from confirmation.events import uuid7
from confirmation.operating import NotDone, may, void
from confirmation.ports import Commit, Step, Terms, World
from confirmation.resolving import Resolving, Word
from confirmation.states import State
from sandbox.twins import TwinLock
from tests.integration.duty_house import PAID, open_house
from worker.duty.audit import audit
from worker.store import ledger as ledger_module
from worker.store import operating
from worker.store.ledger import Ledger
from worker.store.operating import Operating
from worker.store.reading import Reading
from worker.store.rows import commit_values, order_values
from worker.store.statements import RESERVE

TURNS = 12
PATIENCE_SECONDS = 30


@pytest.fixture
def house(database_url):
    with open_house(database_url) as house:
        house.fill()
        yield house


def at_once(*runs):
    """Run them at the same moment and give what each gave, or why it didn't."""
    barrier = Barrier(len(runs))

    def meet(run):
        barrier.wait(timeout=PATIENCE_SECONDS)
        try:
            return run()
        except (NotDone, ClaimLost) as why:
            return why

    with ThreadPoolExecutor(len(runs)) as pool:
        return list(pool.map(meet, runs))


def world(house, gateway=None):
    """Without a lock: only the row keeps them apart."""
    lock = TwinLock(house.clock)
    lock.away = True
    return World(house.ledger, gateway or house.gateway, lock, Terms(), house.clock.tick, lambda: 0.5, uuid7)


def resolver(house, gateway=None):
    return Resolving(Operating(house.engine), world(house, gateway))


def carried(house, receipt_id):
    job = Job(receipt_id, fence=house.fence(receipt_id))
    return lambda: house.again(job)


def story(house, receipt_id):
    return Reading(house.engine).whole_story(receipt_id)


def told(house, receipt_id):
    return [event.type.removeprefix("payconfirm.") for event in story(house, receipt_id).events]


def settle(house, receipt_id):
    """Carry it until it has ended, as the sweep would."""
    for _ in range(5):
        house.run("UPDATE payconfirm.confirmations SET leased_until = NULL WHERE receipt_id = :id", id=receipt_id)
        if story(house, receipt_id).confirmation.state in (State.CONFIRMED, State.VOIDED):
            return
        house.again(Job(receipt_id, fence=house.fence(receipt_id)))


def findings(house):
    return audit(house.engine, None, Console(stderr=True)).findings.listed


def held_in_review(house, receipt_id):
    """A receipt in review that holds its items, and that was paid after all."""
    house.carry(receipt_id, {"tee": 1}, status=77)
    house.run(
        "UPDATE payconfirm.confirmations SET review_from = 'submitting', owns_order = true WHERE receipt_id = :id;"
        "INSERT INTO payconfirm.reservations VALUES (:id, 'tee', 1, 'held');"
        "UPDATE payconfirm.stock SET available = available - 1 WHERE sku = 'tee'",
        id=receipt_id,
    )
    vars(house.gateway.receipts[receipt_id]).update(PAID)


def test_a_void_against_the_worker_that_would_confirm_it(house):
    """
    Whoever comes first: the money ends in one place, and what is told last is how it stands.
    """
    house.stock.set("tee", 100, "test")
    rows = Operating(house.engine)
    for turn in range(TURNS):
        receipt_id = f"race-{turn}"
        held_in_review(house, receipt_id)
        seen = may(rows, operators.Act.VOID, receipt_id)

        at_once(carried(house, receipt_id), lambda seen=seen: void(rows, seen, "kim", restock=True))
        ended = story(house, receipt_id).confirmation.state
        if ended is not State.CONFIRMED:
            settle(house, receipt_id)

        ended = story(house, receipt_id).confirmation.state
        assert told(house, receipt_id) in (["review", "confirmed"], ["review", "voided"])
        assert told(house, receipt_id)[-1] == ended
        assert house.gateway.receipts[receipt_id].taken == (3000 if ended is State.CONFIRMED else 0)
        assert len(house.gateway.receipts[receipt_id].cancels) == (0 if ended is State.CONFIRMED else 1)
        assert findings(house) == []


class Stopping:
    """A gateway whose look-up waits, so that a person comes between the claim and the commit."""

    def __init__(self, gateway):
        self._gateway = gateway
        self.asked, self.go_on = Event(), Event()

    def look_up(self, receipt_id, *, start_by):
        answer = self._gateway.look_up(receipt_id, start_by=start_by)
        self.asked.set()
        assert self.go_on.wait(PATIENCE_SECONDS)
        return answer

    def __getattr__(self, name):
        return getattr(self._gateway, name)


@pytest.mark.parametrize("guarded", [True, False])
def test_a_void_takes_the_claim_from_a_worker_that_has_it(house, monkeypatch, guarded):
    """
    Without the fresh fence the worker's commit is kept out by the state alone, and its hold lives on: a renewal is what
    shows it.
    """
    if not guarded:
        unfenced = operating._VOID.replace("fence = CAST(:fence AS uuid), ", "")
        monkeypatch.setattr(operating, "_VOID", unfenced)
    held_in_review(house, "race")
    before = house.fence("race")
    stopping = Stopping(house.gateway)
    with ThreadPoolExecutor(1) as pool:
        job = Job("race", fence=before)
        worker = pool.submit(lambda: house.again(job, stopping))
        assert stopping.asked.wait(PATIENCE_SECONDS)
        hold = house.fence("race")
        assert Operating(house.engine).void("race", State.REVIEW, "kim", restock=False)
        assert story(house, "race").leased_until is None
        stopping.go_on.set()
        with pytest.raises(ClaimLost):
            worker.result(PATIENCE_SECONDS)

    assert (house.fence("race") != hold) is guarded
    steps = [(step.phase, step.decided, step.stale) for step in story(house, "race").steps[-2:]]
    assert steps == [("operator", "void", False), ("review", "commit", True)]
    settle(house, "race")
    assert told(house, "race") == ["review", "voided"]
    assert findings(house) == []


def test_two_people_void_it_once(house):
    rows = Operating(house.engine)
    seen = may(rows, operators.Act.VOID, "confirmed")

    answers = at_once(*[lambda: void(rows, seen, "kim", restock=True)] * 4)

    assert [answer is None for answer in answers].count(True) == 1
    assert house.stock.show("tee")[0].sold == 0
    assert findings(house) == []


@pytest.mark.parametrize("asked", [State.CONFIRMED, State.VOIDED, State.REJECTED])
def test_two_people_resolve_it_once(house, asked):
    for turn in range(TURNS):
        receipt_id = f"race-{asked}-{turn}"
        house.carry(receipt_id, status=77)

        word = Word(asked, force=True, by="kim")
        at_once(*[lambda r=receipt_id, w=word: resolver(house).resolve(r, w)] * 2)
        with suppress(NotDone):
            resolver(house).resolve(receipt_id, word)

        assert told(house, receipt_id) == ["review", asked.value]
        assert findings(house) == []


def test_a_persons_word_against_the_worker_that_looks(house):
    """
    The gateway changes its mind between the two: whichever wins, there is one end, and it is the last thing told.
    """
    house.stock.set("tee", 100, "test")
    for turn in range(TURNS):
        receipt_id = f"race-{turn}"
        held_in_review(house, receipt_id)
        house.gateway.receipts[receipt_id].status = 77
        word = Word(State.REJECTED, force=True, by="kim")

        at_once(carried(house, receipt_id), lambda r=receipt_id, w=word: resolver(house).resolve(r, w))

        now = story(house, receipt_id).confirmation.state
        assert told(house, receipt_id) == (["review", "rejected"] if now is State.REJECTED else ["review"])
        assert findings(house) == []


@pytest.mark.parametrize("guarded", [True, False])
def test_a_void_gives_back_what_was_held_while_it_waited_for_the_row(house, monkeypatch, guarded):
    """
    A person's `resolve` holds the items in the very moment in which another voids: a statement sees what was there when
    it began, so that the void must begin anew once the row is its own.
    """
    if not guarded:
        monkeypatch.setattr(operating, "_TURN", operating._TURN.replace("FOR UPDATE", ""))
    claimed = house.ledger.claim(Job("review", fence=house.fence("review")), 10)
    after = operators.held(claimed)
    commit = Commit(claimed, after, Step("operator", "", "hold the stock"), lease_seconds=10)
    values = commit_values(commit) | {"order_id": "order-review", "items": order_values(claimed.order)["items"]}
    transaction = house.engine.execution_options(isolation_level="READ COMMITTED")
    with ThreadPoolExecutor(1) as pool, transaction.connect() as connection:
        ledger_module.one(connection, RESERVE, values)
        voided = pool.submit(lambda: Operating(house.engine).void("review", State.REVIEW, "kim", restock=False))
        _wait_until_somebody_waits(house)
        connection.commit()
        assert voided.result(PATIENCE_SECONDS)

    assert {finding.check for finding in findings(house)} == (set() if guarded else {"held_for_nobody"})


def _wait_until_somebody_waits(house):
    waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    with house.engine.connect() as connection:
        while not connection.execute(waiting).scalar_one():
            pass


def test_a_stale_word_changes_nothing(house, monkeypatch):
    """A void between a person's claim and that person's last write: the fresh fence keeps the word out."""
    real = Ledger.write

    def voided_first(self, commit):
        if commit.step.phase == "operator":
            assert Operating(house.engine).void("review", State.REVIEW, "lee", restock=False)
        return real(self, commit)

    monkeypatch.setattr(Ledger, "write", voided_first)
    word = Word(State.REJECTED, force=True, by="kim")

    with pytest.raises(NotDone, match="somebody else moved it"):
        resolver(house).resolve("review", word)

    assert story(house, "review").confirmation.state is State.VOIDING
    assert told(house, "review") == ["review"]
    assert findings(house) == []
