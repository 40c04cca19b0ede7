"""Rows and looks to try the rules with."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from confirmation.answers import GatewayReceipt
from confirmation.cases import Case
from confirmation.confirmation import Confirmation
from confirmation.order import Money, Order
from confirmation.states import Reason, State

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
DEADLINE = timedelta(minutes=10)
ORDER = Order("r1", "o1", Money(3000, "KRW"), {"tee": 2})
SECOND = timedelta(seconds=1)
#: The row was made so long ago that the deadline is ahead.
RECENT = timedelta(minutes=1)


def receipt(status, api="v2", **changes):
    """The gateway's receipt, as ordered but for the changes."""
    return GatewayReceipt(api, status, **({"order_id": "o1", "amount": Money(3000, "KRW")} | changes))


def row(state, came_from=None, **changes):
    """A row in this state, as the way there leaves it."""
    origin = came_from or state
    made = NOW - RECENT
    confirmation = Confirmation(ORDER, state, made, made, made, review_from=came_from)
    if origin is State.SUBMITTING:
        confirmation = replace(confirmation, submits=1, submitted_until=NOW - RECENT, owns_order=True)
    if origin is State.VOIDING:
        confirmation = replace(confirmation, void_reason=Reason.OUT_OF_STOCK, reason=Reason.OUT_OF_STOCK)
    if state is State.REJECTED:
        confirmation = replace(confirmation, reason=Reason.NOT_READY)
    return replace(confirmation, **changes)


def look(confirmation, answer, *, now=NOW, jitter=0.5):
    """What is known once this answer has come."""
    return Case.of(confirmation, answer, asked=now, now=now, deadline=DEADLINE, jitter=jitter)


def looked_before(confirmation, answer, ago):
    """The row after an earlier look, so long ago, that was answered the same."""
    return look(confirmation, answer, now=NOW - ago).confirmation
