"""Receipts carried by the real rules into the real tables, with the gateway in memory: what people on duty look at."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import text

from confirmation.answers import GatewayReceipt, Silence
from confirmation.confirmation import Job
from confirmation.events import uuid7
from confirmation.order import Money, Order
from confirmation.pipeline import confirm
from confirmation.ports import Terms, World
from sandbox.twins import Clock, Fault, TwinGateway, TwinLock, TwinReceipt
from worker.store.engine import make_engine
from worker.store.ledger import Ledger
from worker.store.stock import Stock

WON = Money(3000, "KRW")
LOST = Fault(Silence("timeout"), acts=False)
PAID = {"status": 1, "charges": 1}


class House:
    """A database, the rules' store on it, and a gateway that can be told what to say."""

    def __init__(self, engine):
        self.engine = engine
        self.clock = Clock()
        self.gateway = TwinGateway(self.clock)
        self.ledger = Ledger(engine, self.clock.tick)
        self.stock = Stock(engine)

    def carry(self, receipt_id, items=None, *, amount=WON, **receipt):
        """Open a receipt at the gateway and carry it as far as it goes."""
        order = Order(receipt_id, f"order-{receipt_id}", amount, items or {})
        self.gateway.receipts[receipt_id] = TwinReceipt(order.order_id, amount, **receipt)
        return self.again(Job(receipt_id, order))

    def again(self, job, gateway=None):
        """Carry a receipt that the gateway knows."""
        lock, tick = TwinLock(self.clock), self.clock.tick
        return confirm(job, World(self.ledger, gateway or self.gateway, lock, Terms(), tick, lambda: 0.5, uuid7))

    def run(self, statement, **values):
        """Change the tables behind everybody's back."""
        with self.engine.connect() as connection:
            connection.execute(text(statement), values)

    def fence(self, receipt_id):
        """The fence that the sweep would see on the row."""
        with self.engine.connect() as connection:
            named = {"receipt_id": receipt_id}
            row = text("SELECT fence FROM payconfirm.confirmations WHERE receipt_id = :receipt_id")
            return connection.execute(row, named).scalar_one()

    def fill(self):
        """Bring in one receipt for each way that a receipt can stand."""
        self.stock.set("tee", 10, "test")
        self.stock.set("cap", 1, "test")
        self.carry("confirmed", {"cap": 1, "tee": 2})
        self.carry("rejected", {"tee": 1}, status=-2)
        self.carry("declined", {"tee": 1}, declined_as=-2)
        self.carry("voided", {"cap": 1}, **PAID)
        self.gateway.tell("submitting", "submit", LOST)
        self.gateway.tell("submitting", "look_up", Fault(), LOST)
        self.carry("submitting", {"tee": 3})
        self.carry("review", {"tee": 1}, status=77)
        self.gateway.tell("review_held", "submit", LOST)
        odd = GatewayReceipt("v2", 77, "order-review_held", WON)
        self.gateway.tell("review_held", "look_up", Fault(), Fault(odd))
        self.carry("review_held", {"tee": 1})
        self.ledger.keep(Order("received", "order-received", WON, {"tee": 1}), 2)


@contextmanager
def open_house(database_url) -> Iterator[House]:
    """Open a house on this database."""
    engine = make_engine(database_url.replace("postgresql://", "postgresql+psycopg2://"))
    yield House(engine)
    engine.dispose()
