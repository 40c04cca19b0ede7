"""What the shop remembers of its orders, in its own tables. Blocking: the server calls it in threads."""

import json
import secrets
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, create_engine, make_url, text
from sqlalchemy.exc import IntegrityError

from sandbox.shop.shelf import Goods
from sandbox.shop.tables import TABLES

#: No 0, 1, I, L, O, U: an order's number is read out on the telephone.
LETTERS = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
#: Nobody guesses 12 of 30 letters.
LENGTH = 12

PLACE = text("INSERT INTO shop.orders (order_id) VALUES (:order_id)")
CHECK_OUT = text("""
INSERT INTO shop.checkouts (order_id, browser, buyer, sku, amount) VALUES (:order_id, :browser, :buyer, :sku, :amount)
""")
FIND = text("""
SELECT order_id, buyer, sku, amount, receipt_id, outcome FROM shop.checkouts
WHERE order_id = :order_id AND browser = :browser
""")
OUTCOME = text("SELECT outcome FROM shop.checkouts WHERE order_id = :order_id")
TAKE_RECEIPT = text("""
UPDATE shop.checkouts SET receipt_id = :receipt_id
WHERE order_id = :order_id AND (receipt_id IS NULL OR receipt_id = :receipt_id)
""")
FORGET_RECEIPT = text("""
UPDATE shop.checkouts SET receipt_id = NULL
WHERE order_id = :order_id AND receipt_id = :receipt_id AND outcome IS NULL
""")
RECORD = text("""
UPDATE shop.checkouts SET outcome = CAST(:outcome AS jsonb)
WHERE order_id = :order_id AND receipt_id = :receipt_id
  AND coalesce((outcome ->> 'sequence')::int, 0) < :sequence
""")
#: Where ORDER_HOOK is set, the order has this status since the very commit; here it is what the shop was told.
SAY_SO = text("UPDATE shop.orders SET status = :status WHERE order_id = :order_id AND status <> 'cancelled'")
STATUS = {"confirmed": "paid", "rejected": "failed", "voided": "refunded"}


@dataclass(frozen=True)
class Order:
    """One item that a browser's session wants to pay for."""

    order_id: str
    buyer: str
    sku: str
    amount: int
    receipt_id: str | None
    #: The latest final result document that the shop was told.
    outcome: dict[str, Any] | None

    def paid_with(self, receipt_id: str, callback_url: str | None) -> dict[str, Any]:
        """Write the order document: what the shop wants to be paid, whatever the browser says."""
        items = [{"sku": self.sku, "quantity": 1}]
        document = {"receipt_id": receipt_id, "order_id": self.order_id, "amount": self.amount, "items": items}
        return document | ({"callback_url": callback_url} if callback_url else {})


class ReceiptTaken(Exception):
    """The order is being paid with another receipt, or the receipt pays another order; nothing was changed."""


class Orders:
    """The shop's orders, in one database. Connects when it is first asked."""

    def __init__(self, database_url: str) -> None:
        url = make_url(database_url).set(drivername="postgresql+psycopg2")
        self._engine: Engine = create_engine(url, pool_pre_ping=True)

    def migrate(self) -> None:
        """Make the tables; safe to repeat."""
        with self._engine.begin() as connection:
            connection.exec_driver_sql(TABLES)

    def place(self, goods: Goods, *, buyer: str, browser: str) -> str:
        """Keep a new order at the shop's price, and return its number."""
        order_id = "".join(secrets.choice(LETTERS) for _ in range(LENGTH))
        named = {"order_id": order_id, "browser": browser, "buyer": buyer, "sku": goods.sku, "amount": goods.price}
        with self._engine.begin() as connection:
            connection.execute(PLACE, named)
            connection.execute(CHECK_OUT, named)
        return order_id

    def find(self, order_id: str, browser: str) -> Order | None:
        """Read an order of this browser's; another's isn't there."""
        with self._engine.begin() as connection:
            found = connection.execute(FIND, {"order_id": order_id, "browser": browser}).one_or_none()
        return None if found is None else Order(*found)

    def take_receipt(self, order_id: str, receipt_id: str) -> None:
        """Tie the receipt to the order, for good; the same one again changes nothing. Raises `ReceiptTaken`."""
        named = {"order_id": order_id, "receipt_id": receipt_id}
        try:
            with self._engine.begin() as connection:
                taken = connection.execute(TAKE_RECEIPT, named).rowcount
        except IntegrityError as error:
            raise ReceiptTaken from error
        if not taken:
            raise ReceiptTaken

    def forget_receipt(self, order_id: str, receipt_id: str) -> None:
        """Untie a receipt that was refused for this order: it was another's."""
        with self._engine.begin() as connection:
            connection.execute(FORGET_RECEIPT, {"order_id": order_id, "receipt_id": receipt_id})

    def record(self, result: dict[str, Any]) -> None:
        """Keep a final result, unless it or a later one is kept: results may come twice, and late."""
        named = {name: result[name] for name in ("order_id", "receipt_id", "sequence")}
        with self._engine.begin() as connection:
            if connection.execute(RECORD, named | {"outcome": json.dumps(result)}).rowcount:
                connection.execute(SAY_SO, named | {"status": STATUS[result["state"]]})

    def outcome(self, order_id: str) -> dict[str, Any] | None:
        """Read the latest final result that the shop was told of an order."""
        with self._engine.begin() as connection:
            kept: dict[str, Any] | None = connection.execute(OUTCOME, {"order_id": order_id}).scalar_one_or_none()
        return kept

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()
