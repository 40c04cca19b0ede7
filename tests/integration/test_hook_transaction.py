"""The shop's statements and ours in one transaction: both or neither, whatever the hook does to its connection."""

import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import replace

import psycopg2
import pytest
from sqlalchemy import event, text

from confirmation.decisions import Refusal
from confirmation.errors import ClaimLost, HookFailed, HookRefused, StoreUnavailable
from confirmation.hooks import Method
from confirmation.states import State
from payconfirm import Refuse
from tests.hooks import Shop, raises
from tests.ledgers import claimed, confirmed, order, rejected, reserve
from worker.store import together
from worker.store.engine import make_engine
from worker.store.ledger import Ledger
from worker.store.stock import Stock

PATIENCE_SECONDS = 60
OTHER_SEARCH_PATH = "shop, public"
TABLES = """
CREATE SCHEMA shop;
CREATE TABLE shop.notes (receipt_id text, wrote text);
CREATE TABLE shop.coupons (code text UNIQUE DEFERRABLE INITIALLY DEFERRED);
INSERT INTO shop.coupons VALUES ('used');
CREATE TABLE shop.orders (order_id text PRIMARY KEY, status text NOT NULL);
INSERT INTO shop.orders VALUES ('order-r1', 'placed');
"""


@pytest.fixture(scope="module")
def shop_engine(servers, template_database):
    """One database for all tests here: each has receipts of its own."""
    name = "test_hook_transaction"
    with closing(psycopg2.connect(servers.addresses.database_url)) as connection:
        connection.autocommit = True
        connection.cursor().execute(f"CREATE DATABASE {name} TEMPLATE {template_database} STRATEGY file_copy")
        connection.cursor().execute(f"ALTER DATABASE {name} SET search_path = {OTHER_SEARCH_PATH}")
    url = servers.addresses.database_url.rpartition("/")[0].replace("postgresql://", "postgresql+psycopg2://")
    engine = make_engine(f"{url}/{name}", statement_seconds=1.5, lock_seconds=1)
    with engine.connect() as connection:
        connection.execute(text(TABLES))
    Stock(engine).set("tee", 1000, "test")
    yield engine
    engine.dispose()


@pytest.fixture
def engine(shop_engine):
    yield shop_engine
    assert shop_engine.pool.checkedout() == 0


NUMBERS = iter(range(1, 1000))


class Run:
    """A receipt whose shop does something with its connection when it is reserved."""

    def __init__(self, engine, does):
        self.engine = engine
        self.receipt_id = f"t{next(NUMBERS)}"
        self.shop = Shop(on_reserve=does) if does else Shop()
        self.ledger = Ledger(engine, hook=self.shop.hook())
        self.held = claimed(self.ledger, order(self.receipt_id, items={"tee": 1}))

    def reserve(self):
        return reserve(self.ledger, self.held)

    @property
    def notes(self):
        return self.ask("SELECT wrote FROM shop.notes WHERE receipt_id = :id")

    @property
    def state(self):
        return self.ask("SELECT state FROM payconfirm.confirmations WHERE receipt_id = :id")[0]

    @property
    def holds(self):
        return self.ask("SELECT state FROM payconfirm.reservations WHERE receipt_id = :id")

    def ask(self, statement):
        with self.engine.connect() as connection:
            return list(connection.execute(text(statement), {"id": self.receipt_id}).scalars())

    def nothing_happened(self):
        return (self.state, self.notes, self.holds) == ("received", [], [])


def note(connection, order_, wrote="reserved"):
    values = {"receipt_id": order_["receipt_id"], "wrote": wrote}
    connection.execute(text("INSERT INTO shop.notes VALUES (:receipt_id, :wrote)"), values)


def then(*does):
    """Write a note, and do this after it."""

    def do(connection, order_):
        note(connection, order_)
        for one in does:
            one(connection)

    return do


def sql(statement):
    return lambda connection: connection.exec_driver_sql(statement)


def failed(run, words):
    with pytest.raises(HookFailed) as raised:
        run.reserve()
    assert words in str(raised.value)
    return str(raised.value)


# Both or neither ------------------------------------------------------------------------------------------------------


def test_what_the_hook_wrote_is_there_once_ours_is(engine):
    run = Run(engine, then())

    assert run.reserve().state is State.SUBMITTING

    assert (run.state, run.notes, run.holds) == ("submitting", ["reserved"], ["held"])


def test_the_connection_is_the_transactions_own_with_the_search_path_of_the_database(engine):
    seen = {}

    def look(connection, order_):
        seen["path"] = connection.exec_driver_sql("SHOW search_path").scalar_one()
        seen["xid"] = connection.exec_driver_sql("SELECT pg_current_xact_id()::text").scalar_one()
        note(connection, order_, "looked")

    run = Run(engine, look)
    run.reserve()

    assert seen["path"] == OTHER_SEARCH_PATH
    assert run.ask("SELECT xmin::text FROM payconfirm.confirmations WHERE receipt_id = :id") == [seen["xid"]]
    assert run.ask("SELECT xmin::text FROM shop.notes WHERE receipt_id = :id") == [seen["xid"]]


@pytest.mark.parametrize(("error", "becomes"), [(Refuse("no"), HookRefused), (KeyError("x"), HookFailed)])
def test_what_the_hook_wrote_before_it_raised_is_gone(engine, error, becomes):
    run = Run(engine, then(lambda connection: raises(error)(connection, {})))

    with pytest.raises(becomes):
        run.reserve()
    assert run.nothing_happened()


def test_what_the_hook_wrote_is_gone_where_the_last_item_went_meanwhile(engine):
    """The shelf is looked at before the hook, and taken from after it."""
    stock = Stock(engine)
    stock.set("last", 1, "test")
    run = Run(engine, then(lambda _: stock.set("last", 0, "test")))
    run.held = replace(run.held, order=replace(run.held.order, items={"last": 1}))

    assert run.reserve() is Refusal.OUT_OF_STOCK
    assert run.shop.called == ["on_reserve"]
    assert run.nothing_happened()


def test_the_hook_may_use_savepoints(engine):
    def undo(connection):
        savepoint = connection.begin_nested()
        connection.exec_driver_sql("INSERT INTO shop.notes VALUES ('nobody', 'undone')")
        savepoint.rollback()

    run = Run(engine, then(undo))

    run.reserve()
    assert (run.state, run.notes) == ("submitting", ["reserved"])
    assert run.ask("SELECT count(*) FROM shop.notes WHERE receipt_id = 'nobody'") == [0]


def test_a_hook_runs_for_one_worker_at_a_time(engine):
    """A claim waits while the hook of another has the row, and then finds it moved."""
    seen = []

    def look(_):
        with engine.connect() as other:
            statement = "SELECT 1 FROM payconfirm.confirmations WHERE receipt_id = %s FOR UPDATE SKIP LOCKED"
            seen.extend(other.exec_driver_sql(statement, (run.receipt_id,)).scalars())

    run = Run(engine, then(look))
    run.reserve()

    assert seen == []


# What it must not do --------------------------------------------------------------------------------------------------


def swallowed(do):
    """As code that catches everything."""

    def quietly(connection):
        with suppress(Exception):
            do(connection)

    return quietly


ENDED = "on_reserve ended the transaction, which is payconfirm's to end"
UNUSABLE = "on_reserve left its transaction unusable"
MISBEHAVING = {
    "commits": (lambda c: c.commit(), "the transaction isn't the hook's to commit"),
    "commits and hides it": (swallowed(lambda c: c.commit()), ENDED),
    "rolls back": (lambda c: c.rollback(), ENDED),
    "closes": (lambda c: c.close(), ENDED),
    "begins another": (lambda c: c.begin(), "InvalidRequestError"),
    "leaves it aborted": (swallowed(sql("SELECT 1/0")), UNUSABLE),
    "breaks a deferred constraint": (sql("INSERT INTO shop.coupons VALUES ('used')"), f"{UNUSABLE}: duplicate key"),
    "takes too long": (sql("SELECT pg_sleep(10)"), "QueryCanceled: canceling statement due to statement timeout"),
    "uses a table that isn't there": (sql("SELECT * FROM nowhere"), 'UndefinedTable: relation "nowhere"'),
    "ends its process": (lambda _: sys.exit(3), "SystemExit: 3"),
    "gives its connection up": (lambda c: c.invalidate(), "on_reserve closed its connection"),
    "gives the driver's connection back": (lambda c: c.connection.close(), ENDED),
    "closes the driver's connection": (
        lambda c: c.connection.driver_connection.close(),
        "on_reserve closed its connection",
    ),
    "closes the driver's connection and goes on": (
        lambda c: (c.connection.driver_connection.close(), c.exec_driver_sql("SELECT 1")),
        "on_reserve closed its connection",
    ),
    "forbids itself to write": (sql("SET TRANSACTION READ ONLY"), "on_reserve made the transaction read-only"),
    "forbids itself to write and writes": (
        sql("SET TRANSACTION READ ONLY; INSERT INTO shop.notes VALUES ('nobody', 'x')"),
        "or made it read-only",
    ),
}


@pytest.mark.parametrize("what", MISBEHAVING)
def test_a_hook_that(engine, what):
    does, words = MISBEHAVING[what]
    run = Run(engine, then(does))

    failed(run, words)

    assert run.nothing_happened()
    run.shop.does = {}
    assert run.reserve().state is State.SUBMITTING


@pytest.mark.parametrize(
    "commit", [sql("COMMIT"), lambda c: c.connection.commit()], ids=["in SQL", "on the driver's connection"]
)
def test_a_hook_that_commits_behind_our_back_keeps_what_it_wrote_and_none_of_ours_goes_with_it(engine, commit):
    run = Run(engine, then(commit))

    failed(run, ENDED)

    assert (run.state, run.holds) == ("received", [])
    run.shop.does = {}
    assert run.reserve().state is State.SUBMITTING


def test_a_hook_that_waits_for_a_lock_too_long_fails(engine):
    with engine.execution_options(isolation_level="READ COMMITTED").begin() as other:
        other.exec_driver_sql("SELECT FROM shop.orders FOR UPDATE")
        run = Run(engine, then(sql("UPDATE shop.orders SET status = 'pending'")))

        failed(run, "LockNotAvailable: canceling statement due to lock timeout")
    assert run.nothing_happened()


@pytest.mark.parametrize("after", [lambda _: None, sql("SELECT 1")], ids=["and returns", "and goes on"])
def test_a_hook_that_leaves_its_transaction_idle_too_long_fails(engine, monkeypatch, after):
    """The database ends such a session, so that a stopped process holds no rows."""
    monkeypatch.setattr(together, "IDLE_IN_TRANSACTION_SECONDS", 0.3)

    def idle(connection):
        connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 300")
        time.sleep(0.6)  # what it does is to take its time

    run = Run(engine, then(idle, after))

    failed(run, "on_reserve lost its connection after 0.")
    assert run.nothing_happened()


@pytest.mark.parametrize("after", [lambda _: None, swallowed(sql("SELECT 1"))], ids=["and returns", "and hides it"])
def test_a_database_that_goes_away_under_a_hook_is_not_the_hooks_failure(engine, after):
    def cut(connection):
        pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
        with engine.connect() as other:
            other.exec_driver_sql(f"SELECT pg_terminate_backend({pid}, 5000)")

    run = Run(engine, then(cut, after))

    with pytest.raises(StoreUnavailable):
        run.reserve()
    assert run.nothing_happened()


#: What a hook can set, and how that would hurt whoever has the connection next.
SETTINGS = {
    "search_path": "pg_catalog",
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "client_encoding": "LATIN1",
    "DateStyle": "SQL, DMY",
    "IntervalStyle": "sql_standard",
    "TimeZone": "Asia/Seoul",
    "default_transaction_read_only": "on",
    "default_transaction_isolation": "serializable",
    "standard_conforming_strings": "off",
    "session_replication_role": "replica",
    "row_security": "off",
    "synchronous_commit": "local",
    "enable_indexscan": "off",
    "work_mem": "64kB",
    "application_name": "the shop's",
}


@pytest.fixture
def shopkeeper(engine):
    with engine.connect() as connection:
        connection.exec_driver_sql("DO $$ BEGIN CREATE ROLE shopkeeper; EXCEPTION WHEN duplicate_object THEN END $$")
    return "shopkeeper"


@pytest.fixture
def lone_engine(engine):
    """Its pool has one connection, so that whoever comes next has the hook's."""
    lone = make_engine(engine.url, statement_seconds=1.5, lock_seconds=1, connections=1)
    yield lone
    lone.dispose()


def settings(engine):
    with engine.connect() as connection:
        return {name: connection.exec_driver_sql(f"SHOW {name}").scalar_one() for name in SETTINGS}


@pytest.mark.parametrize("raised", [None, Refuse("no"), KeyError("x")], ids=["returns", "refuses", "fails"])
def test_nothing_that_the_hook_sets_for_itself_outlives_it(lone_engine, raised):
    before = settings(lone_engine)
    ours = {"search_path": OTHER_SEARCH_PATH, "statement_timeout": "1500ms", "client_encoding": "UTF8"}
    assert before.items() >= ours.items()

    def set_all(connection):
        for name, value in SETTINGS.items():
            connection.exec_driver_sql("SELECT set_config(%s, %s, false)", (name, value))
        assert all(settings_of(connection)[name] != before[name] for name in SETTINGS)
        if raised is not None:
            raise raised

    run = Run(lone_engine, then(set_all))
    if raised is None:
        assert run.reserve().created_at == run.held.created_at
    else:
        with pytest.raises((HookFailed, HookRefused)):
            run.reserve()

    assert settings(lone_engine) == before


def settings_of(connection):
    return {name: connection.exec_driver_sql(f"SHOW {name}").scalar_one() for name in SETTINGS}


@pytest.mark.parametrize("statement", ["SET ROLE {}", "SET SESSION AUTHORIZATION {}"])
def test_whoever_the_hook_becomes_ours_is_written_as_ourselves(lone_engine, shopkeeper, statement):
    run = Run(lone_engine, then(sql(statement.format(shopkeeper))))

    assert run.reserve().state is State.SUBMITTING

    with lone_engine.connect() as connection:
        asked = "SELECT current_user <> %s AND session_user <> %s"
        assert connection.exec_driver_sql(asked, (shopkeeper, shopkeeper)).scalar_one()


def test_what_the_hook_makes_for_itself_is_gone_once_it_has_returned(lone_engine):
    makes = sql("CREATE TEMP TABLE basket (sku text); SELECT pg_advisory_lock(42)")

    for _ in range(2):
        assert Run(lone_engine, then(makes)).reserve().state is State.SUBMITTING

    assert advisory_locks(lone_engine) == 0


def test_nothing_is_left_of_a_hook_that_commits_and_then_fails(lone_engine):
    before = settings(lone_engine)
    leaves = "SET work_mem = '64kB'; CREATE TEMP TABLE basket (sku text); SELECT pg_advisory_lock(42); COMMIT"
    run = Run(lone_engine, then(sql(leaves), lambda _: raises(KeyError("x"))(None, None)))

    failed(run, "KeyError")

    assert settings(lone_engine) == before
    assert advisory_locks(lone_engine) == 0
    run.shop.does = {"on_reserve": then(sql("CREATE TEMP TABLE basket (sku text)"))}
    assert run.reserve().state is State.SUBMITTING


def advisory_locks(engine):
    with engine.connect() as connection:
        return connection.exec_driver_sql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").scalar_one()


def test_a_server_that_writes_dates_in_another_way_is_understood_after_a_hook(engine):
    """The driver sets its own way of dates where the server's differs, and what undoes the hook's would undo that."""
    name = engine.url.database
    with engine.connect() as connection:
        connection.exec_driver_sql(f"ALTER DATABASE {name} SET DateStyle = 'SQL, DMY'")
    other = make_engine(engine.url)
    try:
        run = Run(other, then())
        assert run.reserve().created_at == run.held.created_at
    finally:
        other.dispose()
        with engine.connect() as connection:
            connection.exec_driver_sql(f"ALTER DATABASE {name} RESET DateStyle")


# Two at once, and answers that are lost -------------------------------------------------------------------------------


def test_a_worker_that_has_lost_its_claim_leaves_no_trace_in_the_shop(engine):
    run = Run(engine, then())
    with engine.connect() as connection:
        statement = "UPDATE payconfirm.confirmations SET fence = gen_random_uuid() WHERE receipt_id = %s"
        connection.exec_driver_sql(statement, (run.receipt_id,))

    with pytest.raises(ClaimLost):
        run.reserve()
    assert (run.shop.called, run.notes) == ([], [])


def test_a_refusal_that_comes_of_waiting_for_the_other_receipt_of_the_order_is_not_believed(engine):
    """
    The second receipt's hook waits for the first one's row of the order, and then sees an order that is being paid.
    It has to wait for what becomes of the first, not to be rejected.
    """
    entered, go = threading.Event(), threading.Event()

    def pay(connection, order_):
        taken = connection.execute(
            text("UPDATE shop.orders SET status = 'pending' WHERE order_id = :order_id AND status = 'placed'"),
            {"order_id": order_["order_id"]},
        )
        if not taken.rowcount:
            raise Refuse("that order is being paid already")
        entered.set()
        assert go.wait(PATIENCE_SECONDS)

    shop = Shop(on_reserve=pay)
    ledger = Ledger(engine, hook=shop.hook())
    first, second = (claimed(ledger, order(f"r{number}", "order-r1")) for number in (1, 2))
    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(reserve, ledger, first)
        assert entered.wait(PATIENCE_SECONDS)
        other = pool.submit(reserve, ledger, second)
        until_somebody_waits(engine)
        go.set()
        assert one.result(PATIENCE_SECONDS).state is State.SUBMITTING
        assert other.result(PATIENCE_SECONDS) is Refusal.ORDER_UNDECIDED
    assert shop.called == ["on_reserve", "on_reserve"], "the second had been let in"


def until_somebody_waits(engine):
    waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    ends_at = time.monotonic() + PATIENCE_SECONDS
    with engine.connect() as connection:
        while not connection.execute(waiting).scalar_one():
            assert time.monotonic() < ends_at


@pytest.fixture
def answers(engine, monkeypatch):
    """Lets the answers to COMMIT be lost: before it took place, or after."""
    do_commit = engine.dialect.do_commit
    lost = {}

    def commit(connection):
        if lost.pop("before", None):
            connection.close()
            raise psycopg2.OperationalError("server closed the connection unexpectedly")
        do_commit(connection)
        if lost.pop("after", None):
            raise psycopg2.OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(engine.dialect, "do_commit", commit)
    return lost


def test_a_commit_whose_answer_is_lost_is_found_in_the_row(engine, answers):
    run = Run(engine, then())
    answers["after"] = True

    reserved = run.reserve()

    assert (reserved.state, reserved.can_move) == (State.SUBMITTING, True)
    assert (run.notes, run.holds) == (["reserved"], ["held"])
    answers["after"] = True
    assert confirmed(run.ledger, reserved).state is State.CONFIRMED
    assert run.shop.called == ["on_reserve", "on_commit"]


def test_a_commit_that_was_lost_itself_wrote_nothing_of_either(engine, answers):
    run = Run(engine, then())
    answers["before"] = True

    with pytest.raises(StoreUnavailable):
        run.reserve()

    assert run.nothing_happened()
    assert run.reserve().state is State.SUBMITTING
    assert run.notes == ["reserved"]


@pytest.mark.parametrize("methods", [None, [Method.ON_VOID]])
def test_where_the_shop_has_no_part_a_commit_is_one_statement_as_before(engine, methods):
    run = Run(engine, None)
    run.ledger = Ledger(engine, hook=run.shop.hook(*methods) if methods else None)
    sent = []

    def count(_connection, _cursor, statement, *_):
        sent.append(statement)

    event.listen(engine, "before_cursor_execute", count)
    try:
        rejected(run.ledger, run.reserve())
    finally:
        event.remove(engine, "before_cursor_execute", count)
    assert len(sent) == 2
