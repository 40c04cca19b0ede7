"""Adds everything up: what buyers were told, against the gateway's ledger, the shelves and the audit."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from confirmation.states import State
from sandbox.demo.cast import CONFIRMED, SCARCE, Kind
from sandbox.demo.plan import Deed
from sandbox.demo.rush import Ending


@dataclass(frozen=True)
class Done:
    """What was done to the house, and what that asked of others."""

    deeds: Mapping[Deed, int]
    #: The gateway's faults that met a call, by name.
    faults: Mapping[str, int]
    #: Documents sent again since Redis may have lost their message, and times that a door said "not now".
    asked_again: int = 0
    put_off: int = 0
    #: Writes of workers that had lost their claim.
    stale_steps: int = 0
    #: Whether PostgreSQL and Redis were left alone, being somebody's.
    spared: bool = False


@dataclass(frozen=True)
class Books:
    """Everything there is to compare, from three witnesses: the buyers, the gateway, the database."""

    endings: list[Ending]
    ledger: Mapping[str, Any]
    stock_set: Mapping[str, int]
    stock_left: Mapping[str, int]
    audit: Mapping[str, Any]
    done: Done | None = None

    @property
    def confirmed_won(self) -> int:
        """What the buyers who were told "confirmed" have paid."""
        return sum(ending.buyer.amount for ending in self.endings if ending.end == CONFIRMED)

    @property
    def charged_won(self) -> int:
        """What the gateway charged, whatever became of it."""
        return int(self.ledger["totals"]["charged"].get("KRW", 0))

    @property
    def sent_back_won(self) -> int:
        """What the gateway gave back."""
        return int(self.ledger["totals"]["cancelled"].get("KRW", 0))

    @property
    def sold(self) -> Counter[str]:
        """Units by item that the buyers were told are theirs."""
        sold: Counter[str] = Counter()
        for ending in self.endings:
            if ending.end == CONFIRMED:
                sold.update({line["sku"]: line["quantity"] for line in ending.buyer.document["items"]})
        return sold


def complaints(books: Books) -> list[str]:
    """Say everything that doesn't add up; nothing when all does."""
    return [*_endings(books), *_orders(books), *_money(books), *_stock(books), *_audit(books), *_done(books)]


def _endings(books: Books) -> Iterator[str]:
    for ending in books.endings:
        if not ending.right:
            state, reason = ending.end
            right = " or ".join(sorted(f"{name} {why or ''}".strip() for name, why in ending.buyer.kind.right))
            who = f"receipt {ending.buyer.receipt_id} ({ending.buyer.kind.name.lower()})"
            yield f"{who} ended as {state} {reason or ''}, and should have as {right}"


def _orders(books: Books) -> Iterator[str]:
    confirmed = Counter(ending.buyer.order_id for ending in books.endings if ending.end == CONFIRMED)
    for order_id in sorted(
        {ending.buyer.order_id for ending in books.endings if ending.buyer.kind is Kind.TWO_RECEIPTS}
    ):
        if confirmed[order_id] != 1:
            yield f"{order_id} was paid for with two receipts, and {confirmed[order_id]} of them are confirmed"


def _money(books: Books) -> Iterator[str]:
    if twice := books.ledger["totals"]["charged_twice"]:
        yield f"charged twice: {', '.join(twice)}"
    kept = books.charged_won - books.sent_back_won
    if kept != books.confirmed_won:
        yield f"the gateway keeps {kept:,} won, and {books.confirmed_won:,} won are confirmed here"
    for ending in books.endings:
        account = books.ledger["receipts"].get(ending.buyer.receipt_id, {"charged": 0, "cancelled": 0})
        paid, right = account["charged"] - account["cancelled"], ending.buyer.amount * (ending.end == CONFIRMED)
        if paid != right:
            yield f"receipt {ending.buyer.receipt_id}: the gateway keeps {paid:,} won, it should be {right:,}"
        if ending.end[0] == State.VOIDED and account["cancelled"] != account["charged"]:
            yield f"receipt {ending.buyer.receipt_id} is voided, and not all of its money went back"


def _stock(books: Books) -> Iterator[str]:
    for sku, there in books.stock_set.items():
        left, sold = books.stock_left.get(sku), books.sold[sku]
        if left != there - sold:
            yield f"{sku}: {there} set, {sold} sold, and {left} left"
    if books.sold[SCARCE.sku] != books.stock_set[SCARCE.sku]:
        yield f"{SCARCE.sku}: {books.sold[SCARCE.sku]} sold of {books.stock_set[SCARCE.sku]}, though more wanted it"


def _audit(books: Books) -> Iterator[str]:
    if not books.audit["ok"]:
        yield f"the audit found something: {books.audit['findings']}"


def _done(books: Books) -> Iterator[str]:
    """A demo that did less to the house than it says has shown less."""
    if books.done and not books.done.deeds[Deed.KILL_WORKER]:
        yield "no worker was killed"
