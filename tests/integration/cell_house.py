"""The rules run in this process on the real store and the real client, which speaks to a sandbox gateway of its own.

Time passes for a receipt by moving its row's times into the past, so no test waits for a deadline.
"""

import itertools
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

import psycopg2
from sqlalchemy import text

from confirmation.answers import Absent
from confirmation.confirmation import Confirmation, Job
from confirmation.events import uuid7
from confirmation.order import Money, Order
from confirmation.pipeline import confirm
from confirmation.ports import Terms, World
from confirmation.states import State
from sandbox.gateway.running import RunningGateway
from sandbox.twins import Clock, TwinLock
from tests.contract.ledger_under_test import MOMENTS
from worker.gateway import Account, BootpayGateway
from worker.store.engine import make_engine
from worker.store.ledger import Ledger
from worker.store.stock import Stock

NUMBERS = itertools.count(1)
KEYS = {"application_id": "sandbox-application", "private_key": "sandbox-private"}
TERMS = Terms()
WON = 3000
#: A submit that wasn't answered may be at work for as long as its lease; after this it can't be.
SUBMIT_IS_OVER = timedelta(seconds=20)
#: Every receipt wants this much of what there is plenty of.
TEES = {"tee": 2}
#: Nobody has any of it.
NONE_LEFT = {"none left": 1}

FINAL = (State.CONFIRMED, State.REJECTED, State.VOIDED)
RESTS = (*FINAL, State.REVIEW)

_ROW = "SELECT *, clock_timestamp() AS now FROM payconfirm.confirmations WHERE receipt_id = :receipt_id"
_STANDING = """
SELECT c.*,
    (SELECT jsonb_object_agg(r.sku, r.state) FROM payconfirm.reservations r WHERE r.receipt_id = c.receipt_id) AS stock,
    (SELECT jsonb_agg(to_jsonb(o) ORDER BY o.sequence) FROM payconfirm.outbox o WHERE o.receipt_id = c.receipt_id)
        AS told,
    (SELECT jsonb_agg(to_jsonb(s) ORDER BY s.number) FROM payconfirm.steps s WHERE s.receipt_id = c.receipt_id) AS steps
FROM payconfirm.confirmations c WHERE c.receipt_id = :receipt_id
"""


@dataclass(frozen=True)
class Did:
    """One line of the receipt's story."""

    phase: str
    seen: str
    decided: str
    detail: str
    stale: bool


@dataclass(frozen=True)
class Told:
    """One announcement, as it waits to be carried out."""

    sequence: int
    type: str
    state: str
    reason: str | None

    @classmethod
    def of(cls, event):
        document = event["document"]
        assert document["sequence"] == event["sequence"]
        return cls(event["sequence"], event["type"], document["state"], document["reason"])


@dataclass(frozen=True)
class Standing:
    """All that can be known of a receipt here, at one moment: its row, its story, its stock, its announcements."""

    state: State
    reason: str | None
    origin: str | None
    owns_order: bool
    #: From the last commit to when it is due; None: never.
    wait: timedelta | None
    #: By item: held, sold or released; an item that it never had is missing.
    stock: dict[str, str]
    told: list[Told]
    steps: list[Did]
    row: dict[str, Any]

    @property
    def ended(self) -> str:
        """The state, with its reason where there is one."""
        return f"{self.state} {self.reason}" if self.reason else self.state.value

    @property
    def decided(self) -> list[str]:
        return [step.decided for step in self.steps]

    @property
    def announced(self) -> list[str]:
        return [told.type.removeprefix("payconfirm.") for told in self.told]


class CellHouse:
    """One version of the API, a database, and a gateway that others may share."""

    def __init__(self, engine, sandbox, api):
        self.engine = engine
        self.sandbox = sandbox
        self.api = api
        self.ledger = Ledger(engine)
        self.stock = Stock(engine)
        self.gateway = self.client()
        self.stock.set("tee", 1_000_000, "test")
        self.stock.set("none left", 0, "test")

    def client(self, *, seconds=20.0, **keys):
        """A client of the gateway, patient unless told, with the right keys unless told."""
        account = Account(self.api, self.sandbox.url, **(KEYS | keys))
        return BootpayGateway(account, lookup_seconds=seconds, submit_seconds=seconds)

    def begin(self, items=None, *, order_id=None, **receipt) -> str:
        """Open a receipt at the gateway, and have a row for it that nobody has claimed yet."""
        order_id = order_id or f"order-{next(NUMBERS)}"
        receipt_id = self.sandbox.open(**({"order_id": order_id, "price": WON} | receipt))
        self.ledger.keep(Order(receipt_id, order_id, Money(WON, "KRW"), TEES if items is None else items), 0)
        return receipt_id

    def look(self, receipt_id, gateway=None) -> None:
        """Have it looked at as a webhook asks, by the sweep's message, once."""
        assert self.ledger.ask(receipt_id), f"{receipt_id} isn't looked at any more"
        self.look_if_due(receipt_id, gateway)

    def look_if_due(self, receipt_id, gateway=None) -> None:
        """Do what the sweep's message does, once it is due."""
        row = self._row(receipt_id)
        assert row["due_at"] is not None, f"{receipt_id} is {row['state']} and not due"
        assert row["due_at"] <= row["now"], f"{receipt_id} is due in {row['due_at'] - row['now']}"
        self.carry(receipt_id, row["fence"], gateway)

    def seen(self, receipt_id, gateway=None) -> Standing:
        """Have it looked at once, and say how it stands then."""
        self.look(receipt_id, gateway)
        return self.standing(receipt_id)

    def carry(self, receipt_id, fence, gateway=None) -> Confirmation | None:
        """Run the rules on a message that names this fence."""
        return confirm(Job(receipt_id, fence=fence), self.world(gateway))

    def world(self, gateway=None) -> World:
        """What a worker has; nobody else holds the lock."""
        lock = TwinLock(Clock())
        return World(self.ledger, gateway or self.gateway, lock, TERMS, monotonic, lambda: 0.5, uuid7)

    def wait(self, receipt_id) -> None:
        """Let time pass until it is due."""
        row = self._row(receipt_id)
        assert row["due_at"] is not None, f"{receipt_id} is {row['state']} and never due"
        self.let_pass(receipt_id, max(row["due_at"] - row["now"], timedelta()))

    def until_it_rests(self, receipt_id, gateway=None, *, ends=RESTS, most=40) -> Standing:
        """Let it be looked at whenever it is due, until it is final or people are asked, unless said."""
        for _ in range(most):
            self.wait(receipt_id)
            self.look_if_due(receipt_id, gateway)
            standing = self.standing(receipt_id)
            if standing.state in ends:
                return standing
        raise AssertionError(f"{receipt_id} is {standing.state} after {most} looks: {standing.decided}")

    def let_pass(self, receipt_id, span) -> None:
        """Let so much time pass for this receipt."""
        moves = ", ".join(f"{moment} = {moment} - CAST(:span AS interval)" for moment in MOMENTS)
        with self.engine.connect() as connection:
            statement = f"UPDATE payconfirm.confirmations SET {moves} WHERE receipt_id = :receipt_id"
            connection.execute(text(statement), {"span": span, "receipt_id": receipt_id})

    def put_everything_off(self) -> None:
        """Let nothing here be due for a while, as if a relay had been about."""
        with self.engine.connect() as connection:
            later = "clock_timestamp() + interval '1 hour'"
            connection.execute(text(f"UPDATE payconfirm.confirmations SET due_at = {later} WHERE due_at IS NOT NULL"))

    def standing(self, receipt_id) -> Standing:
        """How it stands."""
        row = self._all(_STANDING, receipt_id=receipt_id)[0]
        stock, told, steps = (row.pop(name) for name in ("stock", "told", "steps"))
        return Standing(
            state=State(row["state"]),
            reason=row["reason"],
            origin=row["review_from"],
            owns_order=row["owns_order"],
            wait=row["due_at"] and row["due_at"] - row["updated_at"],
            stock=stock or {},
            told=[Told.of(event) for event in told or ()],
            steps=[Did(**{name: step[name] for name in Did.__annotations__}) for step in steps or ()],
            row=row,
        )

    def account(self, receipt_id) -> "AtTheGateway":
        """What the gateway was asked for, and what it did."""
        ledger = self.sandbox.ledger(receipt_id)
        moved = [(move["kind"], move["amount"]) for move in ledger["moves"] if move["via"] == "api"]
        return AtTheGateway(ledger["calls"], moved, ledger["charged"] - ledger["cancelled"])

    def hurried(self, seconds):
        """A client that gives a call only so long, its token at hand."""
        client, patience_ends = self.client(seconds=seconds), monotonic() + 20
        while not isinstance(client.look_up("nobody-knows-this", start_by=monotonic() + 20), Absent):
            assert monotonic() < patience_ends
        return client

    def _row(self, receipt_id) -> dict[str, Any]:
        [row] = self._all(_ROW, receipt_id=receipt_id)
        return row

    def _all(self, statement, **values) -> list[dict[str, Any]]:
        with self.engine.connect() as connection:
            return [dict(row) for row in connection.execute(_prepared(statement), values).mappings()]


@dataclass(frozen=True)
class AtTheGateway:
    """One receipt's account at the gateway: calls that arrived, money that moved because of one, and what it keeps."""

    calls: dict[str, int]
    moved: list[tuple[str, int]]
    kept: int


_prepared = cache(text)


@contextmanager
def open_cells(servers, template_database, sandbox: RunningGateway, api) -> Iterator[CellHouse]:
    """Open a house with a database of its own, for every test of a module."""
    name = f"test_cells_{next(NUMBERS)}"
    _administer(servers, f"CREATE DATABASE {name} TEMPLATE {template_database} STRATEGY file_copy")
    url = urlsplit(servers.addresses.database_url)._replace(scheme="postgresql+psycopg2", path=f"/{name}").geturl()
    engine = make_engine(url, statement_seconds=30, lock_seconds=15)  # a busy machine must not park what is tried out
    yield CellHouse(engine, sandbox, api)
    engine.dispose()
    _administer(servers, f"DROP DATABASE {name} WITH (FORCE)")


def _administer(servers, statement):
    with closing(psycopg2.connect(servers.addresses.database_url)) as connection:
        connection.autocommit = True
        connection.cursor().execute(statement)
