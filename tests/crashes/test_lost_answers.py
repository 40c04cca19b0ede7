"""A connection to PostgreSQL breaks at a commit: what the worker believes is what the row says."""

import threading
from contextlib import contextmanager, nullcontext

import pytest
from sqlalchemy import event, text

from confirmation.confirmation import Job
from confirmation.decisions import Refusal
from confirmation.errors import StoreBusy, StoreUnavailable
from tests import ledgers
from tests.crashes.middleman import How, middleman
from tests.workers import until
from worker.store.dead_letters import DeadLetter, DeadLetters
from worker.store.engine import _drop_the_dead, make_engine
from worker.store.ledger import Ledger
from worker.store.outbox import Outbox

#: A reservation that waits for somebody's lock is given as long as this test takes.
PATIENT = {"lock_seconds": 60, "statement_seconds": 60}


@pytest.fixture(scope="module")
def between(servers):
    with middleman(servers.postgres.port) as standing:
        yield standing


@pytest.fixture
def broken_engine(between, database_url):
    url = between.behind(database_url).replace("postgresql://", "postgresql+psycopg2://")
    engine = make_engine(url, **PATIENT)
    yield engine
    engine.dispose()


@pytest.fixture
def ledger(broken_engine):
    return Ledger(broken_engine)


@pytest.fixture
def order(engine):
    stock(engine, 3)
    return ledgers.order("r1", items={"tee": 1})


class Unasking(Ledger):
    """The control: it doesn't ask the row."""

    def _happened(self, _):
        return False


@pytest.mark.parametrize("kind", [Ledger, Unasking])
def test_a_worker_goes_on_where_the_answer_was_lost_and_the_row_says_that_it_happened(
    kind, between, broken_engine, engine, order
):
    ledger, asks = kind(broken_engine), kind is Ledger
    claimed = ledgers.claimed(ledger, order)

    with lost(between, How.ANSWER_LOST, "'reserve'"), nullcontext() if asks else pytest.raises(StoreUnavailable):
        reserved = ledgers.reserve(ledger, claimed)
        with lost(between, How.ANSWER_LOST, "'commit'"):
            confirmed = ledgers.confirmed(ledger, reserved)
        assert confirmed.final

    assert held(engine) == [("sold" if asks else "held", 1)]
    assert available(engine) == 2
    assert len(ask(engine, "SELECT FROM payconfirm.outbox")) == asks


def test_a_worker_believes_nothing_of_a_commit_that_never_arrived(between, ledger, engine, order):
    claimed = ledgers.claimed(ledger, order)

    with lost(between, How.NEVER_ARRIVED, "'reserve'"), pytest.raises(StoreUnavailable):
        ledgers.reserve(ledger, claimed)

    assert held(engine) == []
    assert available(engine) == 3


def test_a_commit_that_happens_after_the_worker_gave_it_up_is_found_by_the_next_one(between, ledger, engine, order):
    """
    The server goes on with a statement whose client is gone. The worker must take it neither for done nor for not done.
    """
    claimed = ledgers.claimed(ledger, order)
    outcome = []

    with engine.execution_options(isolation_level="READ COMMITTED").connect() as somebody:
        somebody.execute(text("SELECT FROM payconfirm.stock FOR UPDATE"))
        reserving = threading.Thread(target=lambda: outcome.append(tried(ledgers.reserve, ledger, claimed)))
        reserving.start()
        until(lambda: waits_for_a_lock(engine))
        assert between.cut_all() == 1
        reserving.join()
        assert isinstance(outcome[0], StoreUnavailable)
        assert held(engine) == []
        somebody.rollback()

    until(lambda: held(engine) == [("held", 1)])
    ask(engine, "UPDATE payconfirm.confirmations SET leased_until = now()")
    found = ledger.claim(Job("r1", fence=claimed.hold.fence), ledgers.LEASE_SECONDS)
    assert (found.state, found.submits, found.hold.may_submit) == ("submitting", 1, False)
    ledgers.confirmed(ledger, found)
    assert held(engine) == [("sold", 1)]
    assert available(engine) == 2


def test_a_refused_reservation_whose_answer_was_lost_is_tried_again_not_taken_for_done(between, ledger, engine, order):
    stock(engine, 0)
    claimed = ledgers.claimed(ledger, order)

    with lost(between, How.ANSWER_LOST, "'reserve'"), pytest.raises(StoreUnavailable):
        ledgers.reserve(ledger, claimed)

    assert ledgers.reserve(ledger, claimed) is Refusal.OUT_OF_STOCK


def test_a_dead_letter_whose_answer_was_lost_is_kept_once(between, broken_engine):
    letters = DeadLetters(broken_engine)
    letter = DeadLetter("celery", "amount: is missing", b"{}")

    with lost(between, How.ANSWER_LOST, "dead_letters"), pytest.raises(StoreUnavailable):
        letters.keep(letter)
    letters.keep(letter)

    assert len(letters.newest()) == 1


def test_a_server_that_has_become_read_only_is_not_asked_again_over_the_same_connection(engine, order):
    """
    After a failover the connections may still lead to the old primary, and would for ever.
    """
    ledger = Ledger(engine)
    ask(engine, "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")

    with pytest.raises(StoreUnavailable):
        ledgers.claimed(ledger, order)

    assert ledgers.claimed(ledger, order).can_move


@pytest.mark.parametrize("looks", [True, False], ids=["before it is used", "control: only by using it"])
def test_a_connection_that_ended_while_nobody_used_it_is_found_out(looks, between, broken_engine, order):
    """
    A worker whose receipt is at the gateway while PostgreSQL restarts must not lose its commit to a dead connection.
    """
    ledger = Ledger(broken_engine)
    claimed = ledgers.claimed(ledger, order)
    if not looks:
        event.remove(broken_engine, "checkout", _drop_the_dead)
    between.hang_up()

    with nullcontext() if looks else pytest.raises(StoreUnavailable):
        assert ledgers.reserve(ledger, claimed).can_move


def test_a_connection_that_ends_as_a_transaction_begins_is_no_surprise(between, broken_engine):
    """
    Setting it up asks the server something, and the driver's own error of that comes through SQLAlchemy.
    """
    outbox = Outbox(broken_engine)
    outbox.take_events(1)
    event.remove(broken_engine, "checkout", _drop_the_dead)
    between.hang_up()

    with pytest.raises(StoreUnavailable):
        outbox.take_events(1)


@pytest.mark.parametrize(
    ("code", "meaning"),
    [
        ("53100", StoreUnavailable),  # the disk is full
        ("53300", StoreUnavailable),  # too many connections
        ("57P03", StoreUnavailable),  # it is starting
        ("58030", StoreUnavailable),  # a disk gives errors
        ("42501", StoreUnavailable),  # somebody took our rights
        ("57014", StoreBusy),
        ("55P03", StoreBusy),
    ],
)
def test_what_the_database_cannot_do_now_is_waited_for(code, meaning, engine, order):
    refuse_rows(engine, code)

    with pytest.raises(meaning):
        ledgers.claimed(Ledger(engine), order)


@contextmanager
def lost(between, how, *words):
    broken = between.break_off(how, *words)
    yield
    broken.wait()


def tried(call, *arguments):
    try:
        return call(*arguments)
    except StoreUnavailable as away:
        return away


def stock(engine, available):
    ask(
        engine,
        f"""INSERT INTO payconfirm.stock VALUES ('tee', {available})
            ON CONFLICT (sku) DO UPDATE SET available = excluded.available""",
    )


def held(engine):
    return [tuple(row) for row in ask(engine, "SELECT state, quantity FROM payconfirm.reservations")]


def available(engine):
    return ask(engine, "SELECT available FROM payconfirm.stock")[0][0]


def waits_for_a_lock(engine):
    return ask(
        engine,
        """SELECT FROM pg_stat_activity
           WHERE datname = current_database() AND wait_event_type = 'Lock'""",
    )


def refuse_rows(engine, code):
    """Have the database give this error for every row."""
    ask(
        engine,
        f"""CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE EXCEPTION 'refused' USING ERRCODE = '{code}'; END $$;
            CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON payconfirm.confirmations EXECUTE FUNCTION refuse()""",
    )


def ask(engine, statement):
    with engine.connect() as connection:
        answer = connection.execute(text(statement))
        return answer.all() if answer.returns_rows else []
