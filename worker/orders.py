"""From the order document, which producers write, to the order that the rules know."""

from confirmation.order import Money, Order, add_up
from payconfirm.document import OrderDocument, minor_units


def to_order(document: OrderDocument) -> Order:
    """Turn a document that was read into the rules' own order."""
    return Order(
        receipt_id=document.receipt_id,
        order_id=document.order_id,
        amount=Money(minor_units(document.amount, document.currency), document.currency),
        items=add_up([(line.sku, line.quantity) for line in document.items]),
        callback_url=document.callback_url,
        metadata=dict(document.metadata),
    )
