"""payconfirm for producers: hand in an order document, get its result.

    with payconfirm.Client.from_url(BROKER_URL, result_url=REDIS_URL) as client:
        ticket = client.enqueue({"receipt_id": "5afd6be8", "order_id": "order-1001", "amount": 3000})
        result = ticket.wait(timeout=30)

`import payconfirm` loads neither Celery nor Redis; asking for `Client` does.
"""

from typing import TYPE_CHECKING

from payconfirm import callbacks
from payconfirm.document import OrderDocument, read_document
from payconfirm.errors import (
    BrokerUnavailable,
    CallbackRefused,
    InvalidOrder,
    NotFinal,
    PayconfirmError,
    Refuse,
    ResultsUnavailable,
)
from payconfirm.result import ResultDocument

if TYPE_CHECKING:
    from payconfirm.client import Client, Ticket

__all__ = [
    "BrokerUnavailable",
    "CallbackRefused",
    "Client",
    "InvalidOrder",
    "NotFinal",
    "OrderDocument",
    "PayconfirmError",
    "Refuse",
    "ResultDocument",
    "ResultsUnavailable",
    "Ticket",
    "callbacks",
    "read_document",
]


def __getattr__(name: str) -> object:
    """Load the client when it is first asked for: the worker and the HTTP door need only the document."""
    if name in {"Client", "Ticket"}:
        from payconfirm import client  # noqa: PLC0415 - loading it late is the point

        return getattr(client, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
