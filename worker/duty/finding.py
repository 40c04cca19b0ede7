"""What people look for: a receipt, by its own id or by its order's."""

from typing import Any

from pydantic import ValidationError
from rich.console import Console

from confirmation.events import timestamp
from payconfirm.checks import check_receipt_id, shown
from payconfirm.document import OrderDocument
from worker.duty.showing import ID_WIDTH, moment, printable, table
from worker.store.reading import OfOrder, Reading, WholeStory

#: An order has a receipt or two: one for each time that a buyer tried. So many are listed.
MOST_LISTED = 100

HEADS = ("receipt", "state", "reason", "created (UTC)")


def check_wanted(value: str) -> str:
    """Take what can be an order_id; whatever can be a receipt_id is that as well. Raises `ValueError`."""
    try:
        return OrderDocument(receipt_id="r", order_id=value, amount=1, metadata={}).order_id
    except ValidationError:
        rule = OrderDocument.model_fields["order_id"].description
        raise ValueError(f"takes a receipt_id or an order_id, {rule}, not {shown(value)}") from None


def find(reading: Reading, wanted: str) -> WholeStory | list[OfOrder]:
    """Give the receipt of this id, else the only one of this order, else all of this order, which may be none."""
    story = reading.whole_story(wanted) if _may_be_receipt(wanted) else None
    if story is not None:
        return story
    receipts = reading.of_order(wanted, MOST_LISTED)
    only = reading.whole_story(receipts[0].receipt_id) if len(receipts) == 1 else None
    return only or receipts


def as_data(order_id: str, receipts: list[OfOrder]) -> dict[str, Any]:
    """Give the receipts of an order as JSON has them."""
    listed = [receipt._asdict() | {"created_at": timestamp(receipt.created_at)} for receipt in receipts]
    return {"order_id": order_id, "receipts": listed}


def show(order_id: str, receipts: list[OfOrder], out: Console) -> None:
    """List the receipts of an order for a person."""
    lines = table(*HEADS, first_width=ID_WIDTH)
    for each in receipts:
        lines.add_row(each.receipt_id, each.state, each.reason or "", moment(each.created_at))
    out.print(lines)
    out.print()
    out.print(printable(which(order_id, receipts)))


def which(order_id: str, receipts: list[OfOrder]) -> str:
    """Say that one has to be named."""
    many = f"the first {MOST_LISTED}" if len(receipts) == MOST_LISTED else f"{len(receipts)}"
    return f"order {order_id} has {many} receipts: name one for its story"


def _may_be_receipt(wanted: str) -> bool:
    try:
        check_receipt_id(wanted)
    except ValueError:
        return False
    return True
