"""Who comes to buy, what the gateway knows of their payments, and what must become of each."""

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import Enum, StrEnum
from typing import Any

from confirmation.states import Reason, State

#: What a buyer may be told in the end.
End = tuple[str, str | None]

CONFIRMED: End = (State.CONFIRMED.value, None)
#: So many arrive in a second: near what two workers and everything else do on two cores.
ARRIVALS_PER_SECOND = 80
#: A copy comes this much later at the most, so that it meets the first at work, or done.
COPY_WITHIN_SECONDS = 1.0
#: One receipt in ten is delivered again, unless more are asked for.
COPIES_SHARE = 0.1
#: The scarce item has stock for one buyer in three.
SCARCE_STOCK_SHARE = 0.05
FEWEST = 20
READY, PAID = 2, 1
MOST_OF_ONE_ITEM = 3


@dataclass(frozen=True)
class Item:
    """Something for sale. Its price is in won."""

    sku: str
    name: str
    price: int


SHELF = (
    Item("tee-black-m", "Black tee, M", 19_000),
    Item("mug-blue", "Blue mug", 12_000),
    Item("cap-navy", "Navy cap", 25_000),
    Item("socks-wool", "Wool socks", 9_000),
    Item("tote-canvas", "Canvas tote", 15_000),
    Item("poster-seoul", "Poster of Seoul", 8_000),
)
SCARCE = Item("vinyl-signed", "Signed vinyl", 64_000)
SOLD_OUT = Item("umbrella-red", "Red umbrella", 22_000)


class Kind(Enum):
    """What is special about a buyer: the share of all, and the ends that are right."""

    UNKNOWN = (0.01, {(State.REJECTED, Reason.RECEIPT_NOT_FOUND)})
    TAMPERED = (0.04, {(State.REJECTED, Reason.AMOUNT_MISMATCH)})
    DECLINED = (0.05, {(State.REJECTED, Reason.DECLINED)})
    ANOTHERS = (0.01, {(State.REJECTED, Reason.ORDER_MISMATCH)})
    PAID_BEFORE = (0.01, {(State.CONFIRMED, None)})
    PAID_FOR_NOTHING = (0.005, {(State.VOIDED, Reason.OUT_OF_STOCK)})
    ANSWER_LOST = (0.02, {(State.CONFIRMED, None)})
    TWO_RECEIPTS = (0.01, {(State.CONFIRMED, None), (State.REJECTED, Reason.ORDER_ALREADY_PAID)})
    SCARCE = (0.15, {(State.CONFIRMED, None), (State.REJECTED, Reason.OUT_OF_STOCK)})
    PLAIN = (1.0, {(State.CONFIRMED, None)})

    def __init__(self, share: float, right: set[tuple[State, Reason | None]]) -> None:
        self.share = share
        self.right: set[End] = {(state.value, reason and reason.value) for state, reason in right}


class Door(StrEnum):
    """How a document is handed in, and how its result is waited for."""

    HTTP = "http"
    CELERY = "celery"


@dataclass(frozen=True)
class Buyer:
    """One receipt with its document, and the doors through which it is delivered, one after the other."""

    kind: Kind
    document: dict[str, Any]
    #: What the gateway knows of the payment; None where it knows nothing.
    receipt: dict[str, Any] | None
    doors: tuple[Door, ...] = ()
    arrives_seconds: float = 0.0
    copies_after_seconds: tuple[float, ...] = field(default=())

    @property
    def receipt_id(self) -> str:
        """The payment's id."""
        return str(self.document["receipt_id"])

    @property
    def order_id(self) -> str:
        """The order that is paid for."""
        return str(self.document["order_id"])

    @property
    def amount(self) -> int:
        """The order's price in won."""
        return int(self.document["amount"])


def invite(
    seed: int, receipts: int, *, seconds: float | None = None, copies_share: float = COPIES_SHARE
) -> list[Buyer]:
    """Say who comes within so many seconds, in the order of arrival. The same seed invites the same buyers."""
    chance = random.Random(seed)  # noqa: S311 - a story, no secret
    special = [kind for kind in Kind if kind is not Kind.PLAIN for _ in range(math.ceil(kind.share * receipts))]
    kinds = [*special, *[Kind.PLAIN] * (receipts - len(special) - special.count(Kind.TWO_RECEIPTS))]
    buyers = [buyer for number, kind in enumerate(kinds) for buyer in _come(chance, kind, number + 1)]
    chance.shuffle(buyers)
    seconds = receipts / ARRIVALS_PER_SECOND if seconds is None else seconds
    arriving = (_arrive(chance, buyer, within_seconds=seconds, copies_share=copies_share) for buyer in buyers)
    return sorted(arriving, key=lambda buyer: buyer.arrives_seconds)


def stock_for(buyers: list[Buyer]) -> dict[str, int]:
    """Say how much of each item is there: enough for everybody, but for the scarce one and the one sold out."""
    wanted = {item.sku: 0 for item in SHELF}
    for buyer in buyers:
        for line in buyer.document["items"]:
            wanted[line["sku"]] = wanted.get(line["sku"], 0) + line["quantity"]
    enough = {sku: math.ceil(wanted[sku] / 50) * 50 + 50 for sku in wanted}
    return {**enough, SCARCE.sku: math.ceil(len(buyers) * SCARCE_STOCK_SHARE), SOLD_OUT.sku: 0}


def _come(chance: random.Random, kind: Kind, number: int) -> Iterator[Buyer]:
    """One buyer, or two who pay for one order."""
    item = {Kind.SCARCE: SCARCE, Kind.PAID_FOR_NOTHING: SOLD_OUT}.get(kind) or chance.choice(SHELF)
    quantity = 1 if item in (SCARCE, SOLD_OUT) else chance.randint(1, MOST_OF_ONE_ITEM)
    order = {
        "order_id": f"order-{number:04}",
        "amount": item.price * quantity,
        "items": [{"sku": item.sku, "quantity": quantity}],
    }
    for _ in range(2 if kind is Kind.TWO_RECEIPTS else 1):
        document = {"receipt_id": chance.randbytes(12).hex(), **order}
        yield Buyer(kind, document, _receipt(kind, document, item))


def _receipt(kind: Kind, document: dict[str, Any], item: Item) -> dict[str, Any] | None:
    """What the payment window left at the gateway: what the order says, unless the kind says otherwise."""
    if kind is Kind.UNKNOWN:
        return None
    paid = kind in (Kind.PAID_BEFORE, Kind.PAID_FOR_NOTHING)
    return {
        "receipt_id": document["receipt_id"],
        "order_id": f"{document['order_id']}-anothers" if kind is Kind.ANOTHERS else document["order_id"],
        "price": 100 if kind is Kind.TAMPERED else document["amount"],
        "name": item.name,
        "status": PAID if paid else READY,
    }


def _arrive(chance: random.Random, buyer: Buyer, *, within_seconds: float, copies_share: float) -> Buyer:
    """Choose when and through which doors. Those whom the gateway doesn't know take longest, and come first."""
    copies = chance.choice((1, 2)) if chance.random() < copies_share else 0
    first = chance.choice(tuple(Door))
    other = Door.CELERY if first is Door.HTTP else Door.HTTP
    return replace(
        buyer,
        doors=(first, other, first)[: copies + 1],
        arrives_seconds=0.0 if buyer.kind is Kind.UNKNOWN else chance.uniform(0, within_seconds),
        copies_after_seconds=tuple(chance.uniform(0, COPY_WITHIN_SECONDS) for _ in range(copies)),
    )
