"""The result document: what became of a receipt, the same through every way of asking."""

from typing import Annotated, Any, Literal

from pydantic import Field, with_config
from typing_extensions import TypedDict

__all__ = ["Payment", "Reason", "ResultDocument", "State"]

State = Literal["received", "submitting", "voiding", "review", "confirmed", "rejected", "voided"]

Reason = Literal[
    "amount_mismatch",
    "currency_mismatch",
    "order_mismatch",
    "order_already_paid",
    "receipt_not_found",
    "not_ready",
    "awaiting_deposit",
    "payment_failed",
    "already_cancelled",
    "declined",
    "out_of_stock",
    "unknown_sku",
    "refused_by_hook",
    "deadline_exceeded",
    "late_approval",
    "operator",
    "gateway_unclear",
    "cancel_failed",
    "partly_cancelled",
    "hook_failed",
    "keeps_crashing",
    "virtual_account_refund",
    "order_undecided",
]


@with_config(extra="allow")
class Payment(TypedDict):
    """What the gateway says about the payment."""

    method: str | None
    purchased_at: Annotated[str | None, Field(description="a time with its zone, as the gateway gives it")]
    receipt_url: str | None


@with_config(extra="allow")
class ResultDocument(TypedDict):
    """What is known about a receipt. Read it tolerantly: fields may be added."""

    receipt_id: str
    order_id: str
    state: State
    final: Annotated[bool, Field(description="true for confirmed, rejected and voided")]
    reason: Annotated[Reason | None, Field(description="null for received, submitting and confirmed")]
    message: Annotated[str, Field(description="for people: the gateway's own words for a decline")]
    amount: Annotated[int | str, Field(description="as in the order document: 3000 for KRW, 10.50 as a string for USD")]
    currency: Literal["KRW", "USD"]
    payment: Annotated[Payment | None, Field(description="null where the gateway has said nothing")]
    attempts: Annotated[int, Field(ge=0, description="how often a worker has claimed the receipt")]
    sequence: Annotated[int, Field(ge=0, description="the receipt's events so far; a later document has a higher one")]
    updated_at: Annotated[str, Field(description="UTC, as 2026-11-23T01:00:01.234567Z")]
    metadata: Annotated[dict[str, Any], Field(description="the order document's own")]
