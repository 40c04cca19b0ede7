"""The ways that a receipt can go, what a worker passes on each, and every place on them where it can be stopped."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import text

from tests.workers import body, envelope, item

#: So many lie on the shelf where the order can be delivered; it takes one.
SHELF = 3
PRICE = 3000
READY, PAID = 2, 1


@dataclass(frozen=True)
class Way:
    """One way, and how it ends: what the gateway says then is what we must say."""

    name: str
    state: str
    reason: str | None = None
    charges: int = 1
    cancels: int = 0
    sold: int = 0
    told: tuple[str, ...] = ()
    #: How it begins at the gateway and on the shelf.
    status: int = READY
    price: int = PRICE
    shelf: int = SHELF
    #: What becomes of an approval there.
    fault: str | None = None
    #: It was rejected, and is found paid after that.
    late: bool = False
    #: The gateway is asked only after a wait for a free call, so that the lease is renewed before.
    waits: bool = False

    def __str__(self):
        return self.name


CONFIRMED, REJECTED, VOIDED = "payconfirm.confirmed", "payconfirm.rejected", "payconfirm.voided"

WELL = Way("goes well", "confirmed", sold=1, told=(CONFIRMED,))
WAITS = Way("waits for a call", "confirmed", sold=1, told=(CONFIRMED,), waits=True)
DECLINED = Way("is declined", "rejected", "declined", charges=0, told=(REJECTED,), fault="decline")
VOID = Way("can't be delivered", "voided", "out_of_stock", cancels=1, told=(VOIDED,), status=PAID, shelf=0)
MISMATCH = Way("has another amount", "rejected", "amount_mismatch", charges=0, told=(REJECTED,), price=PRICE - 100)
#: It is in flight until somebody at the gateway says that it is paid.
STUCK = Way("stays in flight", "confirmed", sold=1, told=(CONFIRMED,), fault="stuck_in_flight")
LATE = Way("is paid late", "voided", "late_approval", cancels=1, told=(REJECTED, VOIDED), shelf=0, late=True)

#: What a worker passes on each way, by the call whose answer the gateway loses: every commit, every call, and the
#: acknowledgement. A test runs each and holds this list to it, so that a new commit can't go untested.
PASSAGES = {
    (WELL, None): "lock claim look_up reserve submit write:commit ack",
    (WELL, "look_up"): "lock claim look_up write:wait ack",
    (WELL, "submit"): "lock claim look_up reserve submit write:look_up look_up write:commit ack",
    (WAITS, None): "lock claim renew look_up reserve submit write:commit ack",
    (DECLINED, None): "lock claim look_up reserve submit write:look_up look_up write:reject ack",
    (DECLINED, "submit"): "lock claim look_up reserve submit write:look_up look_up write:reject ack",
    (VOID, None): "lock claim look_up reserve write:void look_up write:cancel cancel write:voided ack",
    (VOID, "cancel"): "lock claim look_up reserve write:void look_up write:cancel cancel write:look_up ack",
    (MISMATCH, None): "lock claim look_up write:reject ack",
    (MISMATCH, "look_up"): "lock claim look_up write:wait ack",
    (LATE, None): "lock claim look_up write:void look_up write:cancel cancel write:voided ack",
    (LATE, "cancel"): "lock claim look_up write:void look_up write:cancel cancel write:look_up ack",
}

CALLS = ("look_up", "submit", "cancel")
#: A call: before it is sent; while the gateway works on it; when it has acted and not answered; before the answer is
#: read. A commit, and the acknowledgement: before it is sent, and after it was done.
MOMENTS = {"lock": ("before",), **dict.fromkeys(CALLS, ("before", "working", "acted", "unread"))}
COMMIT_MOMENTS = ("before", "after")


@dataclass(frozen=True)
class Place:
    """One moment of one passage of a way: the nth time that the passage is come to."""

    way: Way
    lost: str | None
    passage: str
    nth: int
    moment: str

    def __str__(self):
        lost = f", answer to {self.lost} lost" if self.lost else ""
        which = f" {self.nth}" if self.nth > 1 else ""
        return f"{self.way}{lost}: {self.moment} {self.passage}{which}"


def places():
    """Every place there is."""
    return [
        Place(way, lost, name, nth, moment)
        for (way, lost), line in PASSAGES.items()
        for name, nth in numbered(line)
        for moment in MOMENTS.get(name, COMMIT_MOMENTS)
    ]


def numbered(line):
    """The passages of a way, each with the number of times that it was come to by then."""
    names = line.split()
    return [(name, names[: number + 1].count(name)) for number, name in enumerate(names)]


@dataclass(frozen=True)
class Receipt:
    """One buyer's receipt at the gateway, with a shelf of its own."""

    way: Way
    document: dict[str, Any]
    sku: str

    @property
    def id(self):
        return self.document["receipt_id"]


FILL = """
WITH shelf AS (SELECT * FROM unnest(CAST(:skus AS text[]), CAST(:numbers AS int[])) AS shelf (sku, number)),
put AS (INSERT INTO payconfirm.stock (sku, available) SELECT sku, number FROM shelf)
INSERT INTO payconfirm.stock_changes (sku, change, why) SELECT sku, number, 'put in' FROM shelf
"""


def open_receipts(house, ways):
    """Open a receipt for each of these at the gateway, and fill its shelf. Late ones aren't rejected yet."""
    begun = [{"order_id": f"order-{number}", "price": way.price, "status": way.status} for number, way in ways]
    opened = house.control("POST", "/sandbox/receipts", begun)["receipt_ids"]
    receipts = [
        Receipt(way, document_of(receipt_id, number), f"sku-{number}")
        for receipt_id, (number, way) in zip(opened, ways, strict=True)
    ]
    for receipt in receipts:
        if receipt.way.fault:
            fault = {"call": "approve", "fault": receipt.way.fault, "receipt_id": receipt.id}
            house.control("POST", "/sandbox/faults", fault)
    fill_shelves(house, receipts)
    return receipts


def document_of(receipt_id, number):
    items = [{"sku": f"sku-{number}", "quantity": 1}]
    return {"receipt_id": receipt_id, "order_id": f"order-{number}", "amount": PRICE, "items": items}


def fill_shelves(house, receipts):
    shelves = [(receipt.sku, receipt.way.shelf) for receipt in receipts]
    skus, numbers = map(list, zip(*shelves, strict=True))
    with house.engine.connect() as connection:
        connection.execute(text(FILL), {"skus": skus, "numbers": numbers})


def message(receipt, fence=None):
    """The message that sends a worker on its way: the producer's, or for a row that was claimed before the sweep's."""
    if fence is None:
        return item(receipt.document)
    headers = envelope()["headers"] | {"task": "payconfirm.again"}
    return item(body=body(receipt.id, str(fence)), headers=headers)
