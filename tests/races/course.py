"""Where the races are run: the real ledger and lock, the sandbox gateway over HTTP, and as many workers as wanted.

Every worker has connections of its own, as a process has. A control takes a guard out of one worker's statements, or
out of the test's own database; a guard that isn't found there any more is an error.
"""

import random
import time
from datetime import timedelta

import redis
from rich.console import Console
from sqlalchemy import event, text

from confirmation.confirmation import Job
from confirmation.events import uuid7
from confirmation.order import Money, Order
from confirmation.pipeline import confirm
from confirmation.ports import Terms, World
from worker.broker.locks import RedisLock
from worker.duty.audit import audit
from worker.gateway import Account, BootpayGateway
from worker.store.engine import make_engine
from worker.store.ledger import Ledger
from worker.store.reading import Reading
from worker.store.rows import order_values
from worker.store.stock import Stock

KEYS = {"client_key": "sandbox-client", "secret_key": "sandbox-secret"}
#: Nobody listens there.
NO_REDIS = "redis://127.0.0.1:1/0"
LOCK_SECONDS = 9
#: A statement in a line waits for the whole of it, on a machine that is busy with everything else.
STATEMENT_SECONDS = 50
CALL_SECONDS = 30
#: Nobody loses a lease by standing in a line; where a race needs one to be over, the test ends it.
LEASE_SECONDS = 100
#: The gateway's pool takes the largest crowd.
CONNECTIONS = 64

WON = 3000


class Course:
    """A database, a Redis, a gateway, and eyes."""

    def __init__(self, database_url, redis_url, sandbox):
        self.url = database_url.replace("postgresql://", "postgresql+psycopg2://")
        self._redis_url = redis_url
        self._engines = []
        self._clients = []
        self._guards = []
        self.sandbox = sandbox
        self.engine = self.new_engine()
        self.ledger = Ledger(self.engine)
        self.stock = Stock(self.engine)
        self.gateway = BootpayGateway(
            Account("v2", sandbox.url, **KEYS),
            lookup_seconds=CALL_SECONDS,
            submit_seconds=CALL_SECONDS,
            connections=CONNECTIONS,
        )

    def new_engine(self):
        engine = make_engine(self.url, statement_seconds=STATEMENT_SECONDS, lock_seconds=STATEMENT_SECONDS)
        self._engines.append(engine)
        return engine

    def new_redis(self, url=None):
        client = redis.Redis.from_url(url or self._redis_url, decode_responses=True)
        self._clients.append(client)
        return client

    def worker(self, gateway=None, *, redis_url=NO_REDIS, without=None, deadline=Terms.deadline):
        """Build a worker. Without the lock's server only the row keeps it from another."""
        engine = self.new_engine()
        for guard, instead in (without or {}).items():
            self.take_out(guard, instead, engine)
        return World(
            store=Ledger(engine),
            gateway=gateway or self.gateway,
            lock=RedisLock(self.new_redis(redis_url), LOCK_SECONDS),
            terms=Terms(deadline, CALL_SECONDS, CALL_SECONDS, LEASE_SECONDS, LEASE_SECONDS),
            tick=time.monotonic,
            jitter=random.random,
            event_id=uuid7,
        )

    def locked_worker(self, gateway=None):
        """Build a worker that has the real lock."""
        return self.worker(gateway, redis_url=self._redis_url)

    def take_out(self, guard, instead="", engine=None):
        """Take a guard out of all statements of one engine, as they are sent."""
        found = []

        def without(_connection, _cursor, statement, parameters, _context, _many):
            if guard in statement:
                found.append(statement)
            return statement.replace(guard, instead), parameters

        event.listen(engine or self.engine, "before_cursor_execute", without, retval=True)
        self._guards.append((guard, found))

    def open(self, order_id=None, items=None, **receipt):
        """Open a receipt at the gateway and give its order."""
        order_id = order_id or f"order-{uuid7().hex}"
        receipt_id = self.sandbox.open(order_id, WON, **receipt)
        return Order(receipt_id, order_id, Money(WON, "KRW"), items or {})

    def open_many(self, baskets):
        """Open a receipt for each basket, at one go."""
        wanted = [{"order_id": f"order-{uuid7().hex}", "price": WON} for _ in baskets]
        opened = self.sandbox.control("POST", "/sandbox/receipts", wanted)["receipt_ids"]
        return [
            Order(receipt_id, receipt["order_id"], Money(WON, "KRW"), items)
            for receipt_id, receipt, items in zip(opened, wanted, baskets, strict=True)
        ]

    def delivered(self, order, world):
        """A producer's message, as it is run by a worker."""
        return lambda: confirm(Job(order.receipt_id, order), world)

    def as_kept(self, order):
        """What the statement that keeps an order needs: a transaction that has run it holds the row's place."""
        return order_values(order) | {"fence": None, "lease": None, "due": timedelta(), "claims": 0}

    def carry(self, order):
        """Carry a receipt as far as it goes, undisturbed."""
        return confirm(Job(order.receipt_id, order), self.worker())

    def swept(self, order, world=None):
        """The sweep's message about the row as it is now, as it is run by a worker."""
        job = Job(order.receipt_id, fence=self.row(order).fence)
        world = world or self.worker()
        return lambda: confirm(job, world)

    def make_due(self, order):
        """Let its lease, or its wait, be over."""
        self.run(
            "UPDATE payconfirm.confirmations SET due_at = clock_timestamp() - interval '1 second',"
            " leased_until = CASE WHEN leased_until IS NOT NULL THEN clock_timestamp() - interval '1 second' END"
            " WHERE receipt_id = :id",
            id=order.receipt_id,
        )

    def look_again(self, order):
        """Let its wait be over and carry it on, as the sweep has it done."""
        self.make_due(order)
        return self.swept(order)()

    def settle(self, order):
        """Carry it on for as long as it is due, as the sweep has it done."""
        while self.row(order).due:
            self.look_again(order)

    def run(self, statement, **values):
        with self.engine.connect() as connection:
            answer = connection.execute(text(statement), values)
            return answer.all() if answer.returns_rows else []

    def row(self, order):
        [row] = self.run(
            "SELECT *, due_at <= clock_timestamp() AS due FROM payconfirm.confirmations WHERE receipt_id = :id",
            id=order.receipt_id,
        )
        return row

    def state(self, order):
        """The state, with its reason where it has one."""
        row = self.row(order)
        return (row.state, row.reason) if row.reason else row.state

    def states(self):
        """The state of every receipt, as `state` says it."""
        rows = self.run("SELECT state, reason FROM payconfirm.confirmations")
        return [(row.state, row.reason) if row.reason else row.state for row in rows]

    def story(self, order):
        return Reading(self.engine).whole_story(order.receipt_id)

    def told(self, order):
        return [told.type.removeprefix("payconfirm.") for told in self.story(order).events]

    def decided(self, order):
        """What each step decided; a stale one in brackets."""
        return [f"({step.decided})" if step.stale else step.decided for step in self.story(order).steps]

    def submits(self, order):
        return self.account(order)["calls"]["approve"]

    def charges(self, order):
        return self.account(order)["charges"]

    def kept(self, order):
        """How often its money was taken and not sent back."""
        account = self.account(order)
        return account["charges"] - account["cancels"]

    def account(self, order):
        return self.sandbox.ledger(order.receipt_id)

    def findings(self):
        """What doesn't add up: the audit's checks by name."""
        return {finding.check for finding in audit(self.engine, None, Console(stderr=True)).findings.listed}

    def notice_deadlocks_soon(self):
        """Those who connect from now on look for one sooner than after PostgreSQL's own second."""
        self.run(
            "DO $$ BEGIN"
            " EXECUTE format('ALTER DATABASE %I SET deadlock_timeout = ''50ms''', current_database()); END $$"
        )

    def close(self):
        for engine in self._engines:
            engine.dispose()
        for client in self._clients:
            client.close()
        missing = [guard for guard, found in self._guards if not found]
        assert not missing, f"a control has nothing to take out: {missing}"
