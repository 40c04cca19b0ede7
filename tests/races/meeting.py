"""How several come to one moment: at a barrier, or in a line before rows that the test holds. Nobody sleeps."""

from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier, Event

from sqlalchemy import text

from confirmation.errors import ClaimLost, StoreBusy
from confirmation.operating import NotDone
from tests.workers import PATIENCE_SECONDS, until

#: Who is kept out learns it like this; the tests ask who that was.
KEPT_OUT = (ClaimLost, NotDone, StoreBusy)

_WAITING = text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")


def answer(run):
    """Give what it gives, or why it was kept out."""
    try:
        return run()
    except KEPT_OUT as why:
        return why


def raised(answer):
    """Raise what an answer says about being kept out."""
    if isinstance(answer, KEPT_OUT):
        raise answer
    return answer


def at_once(*runs):
    """Start them at the same moment and give what each gave."""
    barrier = Barrier(len(runs))

    def meet(run):
        barrier.wait(PATIENCE_SECONDS)
        return answer(run)

    with ThreadPoolExecutor(len(runs)) as pool:
        return list(pool.map(meet, runs))


@contextmanager
def held(engine, statement, **values):
    """Hold what a statement locks, until the block ends or what is given is called."""
    with engine.execution_options(isolation_level="READ COMMITTED").connect() as connection:
        connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        connection.execute(text(statement), values)
        yield connection.commit


def wait_for_line(engine, length, *runs: Future):
    """Wait until so many statements wait for a lock, or one of the runs has ended without waiting."""

    def standing():
        with engine.connect() as connection:
            return connection.execute(_WAITING).scalar_one() >= length

    until(lambda: standing() or any(run.done() for run in runs))


def in_line(engine, statement, *runs, **values):
    """Let them come to held rows one after the other, let go, and give what each gave.

    All of them have begun before the first goes on, and PostgreSQL lets them through in the order in which they came.
    """
    with ThreadPoolExecutor(len(runs)) as pool, held(engine, statement, **values) as let_go:
        line = []
        for run in runs:
            line.append(pool.submit(answer, run))
            wait_for_line(engine, len(line), line[-1])
        assert not any(run.done() for run in line), "one of them went on without waiting"
        let_go()
        return [run.result(PATIENCE_SECONDS) for run in line]


def two_in_line(engine, statement, one, other, *, other_first=False, **values):
    """Let two come to held rows in this order, or in the other; what each gave comes in this one."""
    if not other_first:
        return in_line(engine, statement, one, other, **values)
    return in_line(engine, statement, other, one, **values)[::-1]


class Between:
    """The gateway, with something that runs once its answer is there and before the worker has it."""

    def __init__(self, gateway, *, look_up=None, submit=None, cancel=None):
        self._gateway = gateway
        self._then = {"look_up": look_up, "submit": submit, "cancel": cancel}

    def look_up(self, receipt_id, *, start_by):
        return self._after("look_up", self._gateway.look_up(receipt_id, start_by=start_by))

    def submit(self, receipt_id, *, start_by):
        return self._after("submit", self._gateway.submit(receipt_id, start_by=start_by))

    def cancel(self, receipt_id, cancel_id, *, start_by):
        return self._after("cancel", self._gateway.cancel(receipt_id, cancel_id, start_by=start_by))

    def _after(self, call, said):
        then = self._then[call]
        if then is not None:
            then()
        return said


class Stop:
    """A place where a worker stops until it may go on. Whoever comes later goes through."""

    def __init__(self):
        self._reached, self._open = Event(), Event()

    def __call__(self):
        self._reached.set()
        assert self._open.wait(PATIENCE_SECONDS)

    def wait(self):
        assert self._reached.wait(PATIENCE_SECONDS)

    def go_on(self):
        self._open.set()

    def carry_on(self, worker):
        """Let the worker go on, as one of the runs of a race."""

        def going_on():
            self.go_on()
            return raised(worker.result(PATIENCE_SECONDS))

        return going_on


@contextmanager
def stopped(run, stop):
    """While the block lasts, a worker stands where it stops; then it goes on, and what is given has its answer."""
    with ThreadPoolExecutor(1) as pool:
        worker = pool.submit(answer, run)
        try:
            stop.wait()
            yield worker
        finally:
            stop.go_on()
        worker.result(PATIENCE_SECONDS)
