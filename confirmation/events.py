"""What is told of a confirmation: the result document and the events that carry it."""

import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from confirmation.confirmation import Confirmation
from confirmation.states import State


class EventType(StrEnum):
    """The events; each is its own routing key."""

    CONFIRMED = "payconfirm.confirmed"
    REJECTED = "payconfirm.rejected"
    VOIDED = "payconfirm.voided"
    REVIEW = "payconfirm.review"
    #: A confirmed receipt that the gateway later shows as cancelled. Nothing changes by itself.
    DRIFT = "payconfirm.drift"


#: Entering one of these states is told, once each time.
TOLD = {
    State.CONFIRMED: EventType.CONFIRMED,
    State.REJECTED: EventType.REJECTED,
    State.VOIDED: EventType.VOIDED,
    State.REVIEW: EventType.REVIEW,
}


@dataclass(frozen=True)
class Event:
    """One announcement, written in the commit that makes it true. `id` is what receivers drop repeats by."""

    id: UUID
    type: EventType


def told(before: Confirmation, after: Confirmation) -> EventType | None:
    """Say which event a change must write, if any."""
    return TOLD.get(after.state) if after.state is not before.state else None


def result_document(confirmation: Confirmation) -> dict[str, Any]:
    """The result document of the contract, as the row stands."""
    order = confirmation.order
    return {
        "receipt_id": order.receipt_id,
        "order_id": order.order_id,
        "state": confirmation.state.value,
        "final": confirmation.final,
        "reason": confirmation.reason and confirmation.reason.value,
        "message": confirmation.message,
        "amount": order.amount.as_document(),
        "currency": order.amount.currency,
        "payment": confirmation.payment,
        "attempts": confirmation.attempts,
        "sequence": confirmation.sequence,
        "updated_at": timestamp(confirmation.updated_at),
        "metadata": dict(order.metadata),
    }


def cloud_event(event_id: UUID, event_type: str, at: datetime, document: dict[str, Any]) -> dict[str, Any]:
    """The event as CloudEvents 1.0 JSON."""
    return {
        "specversion": "1.0",
        "id": str(event_id),
        "source": "payconfirm",
        "type": event_type,
        "subject": document["receipt_id"],
        "time": timestamp(at),
        "datacontenttype": "application/json",
        "sequence": document["sequence"],
        "data": document,
    }


def timestamp(at: datetime) -> str:
    """A moment in UTC to the microsecond, as every document writes it."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def uuid7() -> UUID:
    """A UUID that sorts by time (RFC 9562, version 7); Python 3.11 and PostgreSQL 15 have none of their own."""
    milliseconds = time.time_ns() // 1_000_000
    value = milliseconds << 80 | secrets.randbits(80)
    value = value & ~(0xF << 76) | 0x7 << 76
    return UUID(int=value & ~(0x3 << 62) | 0x2 << 62)
