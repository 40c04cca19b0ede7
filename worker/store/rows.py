"""Between a row and the `Confirmation` that the rules work on."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from confirmation.confirmation import Confirmation, Hold
from confirmation.events import result_document
from confirmation.order import Money, Order
from confirmation.ports import Commit
from confirmation.states import Hooked, Reason, State

#: Columns whose values a confirmation carries as they are.
_PLAIN = (
    "message", "payment", "attempts", "idle_claims", "sequence", "seen", "seen_since", "looks", "parks", "submits",
    "submitted_until", "refusal", "declined", "cancel_number", "cancel_refused", "owns_order", "created_at",
    "updated_at", "state_since",
)  # fmt: skip

#: Columns that a commit writes as the confirmation says.
_WRITTEN = (
    "message", "seen", "seen_since", "looks", "parks", "submits", "submitted_until", "refusal", "declined",
    "cancel_number", "cancel_refused", "owns_order", "state", "reason", "review_from", "void_reason",
    "hooked",
)  # fmt: skip


def to_confirmation(row: Mapping[str, Any], hold: Hold | None = None) -> Confirmation:
    """Read a row of `confirmations`."""
    return Confirmation(
        order=to_order(row),
        state=State(row["state"]),
        reason=row["reason"] and Reason(row["reason"]),
        review_from=row["review_from"] and State(row["review_from"]),
        void_reason=row["void_reason"] and Reason(row["void_reason"]),
        hooked=row["hooked"] and Hooked(row["hooked"]),
        hold=hold,
        **{name: row[name] for name in _PLAIN},
    )


def to_order(row: Mapping[str, Any]) -> Order:
    """Read the order document out of a row."""
    return Order(
        receipt_id=row["receipt_id"],
        order_id=row["order_id"],
        amount=Money(row["amount"], row["currency"]),
        items=row["items"],
        callback_url=row["callback_url"],
        metadata=row["metadata"],
    )


def order_values(order: Order) -> dict[str, Any]:
    """The bound values of an order document."""
    return {
        "receipt_id": order.receipt_id,
        "order_id": order.order_id,
        "amount": order.amount.minor,
        "currency": order.amount.currency,
        "items": json.dumps(dict(order.items)),
        "callback_url": order.callback_url,
        "metadata": json.dumps(dict(order.metadata)),
    }


def commit_values(commit: Commit) -> dict[str, Any]:
    """The bound values of one commit."""
    order = commit.before.order
    wanted = {"order_id": order.order_id, "items": json.dumps(dict(order.items))}
    return _row_values(commit) | step_values(commit) | _event_values(commit) | wanted


def step_values(commit: Commit) -> dict[str, Any]:
    """The bound values of the step alone."""
    before, step = commit.before, commit.step
    return {
        "receipt_id": before.receipt_id,
        "fence": str(before.hold.fence) if before.hold else None,
        "attempt": before.attempts,
        "step_id": str(step.id),
        "phase": step.phase,
        "step_seen": step.seen,
        "decided": step.decided,
        "detail": step.detail,
    }


def _row_values(commit: Commit) -> dict[str, Any]:
    after = commit.after
    lease = seconds(commit.lease_seconds)
    return {name: getattr(after, name) for name in _WRITTEN} | {
        "from_state": commit.before.state,
        "payment": json.dumps(after.payment) if after.payment is not None else None,
        "lease": lease,
        "due": lease if lease is not None else commit.wait,
    }


def _event_values(commit: Commit) -> dict[str, Any]:
    event = commit.event
    if event is None:
        return {"event_id": None, "event_type": None, "document": None, "final": commit.after.final}
    told = replace(commit.after, sequence=commit.before.sequence + 1)
    document = json.dumps(result_document(told))
    return {"event_id": str(event.id), "event_type": event.type, "document": document, "final": told.final}


def seconds(value: float | None) -> timedelta | None:
    """An interval of so many seconds."""
    return None if value is None else timedelta(seconds=value)
