"""What the routes take and give beside the order and its result: to be read by, and for `/openapi.json`."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt

from payconfirm import ResultDocument
from payconfirm.result import Reason, State

#: More of one SKU than any shop has; the sums of many such stay far below what the database counts to.
MOST_AVAILABLE = 10**12

Time = Annotated[str, Field(description="UTC, as 2026-11-23T01:00:01.234567Z")]


class _Taken(BaseModel):
    """What is posted: a field that nobody knows is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class VoidBody(_Taken):
    """How a receipt is voided."""

    restock: Annotated[StrictBool, Field(description="whether what was sold can be sold again")] = False


class ResolveBody(_Taken):
    """How a receipt in review ended."""

    end: Annotated[
        Literal["confirmed", "rejected", "voided"],
        Field(alias="as", description="how it ended; the gateway is asked first, and where it decides, it is followed"),
    ]
    force: Annotated[StrictBool, Field(description="your word is the end where the gateway has none")] = False


class StockBody(_Taken):
    """How much there is of a SKU."""

    available: Annotated[StrictInt, Field(ge=0, le=MOST_AVAILABLE, description="a whole number from 0 to 10^12")]


class Event(BaseModel):
    """An event: CloudEvents 1.0."""

    specversion: Literal["1.0"]
    id: Annotated[str, Field(description="a UUID: drop what comes again by it")]
    source: Literal["payconfirm"]
    type: Literal[
        "payconfirm.confirmed", "payconfirm.rejected", "payconfirm.voided", "payconfirm.review", "payconfirm.drift"
    ]
    subject: Annotated[str, Field(description="the receipt_id")]
    time: Time
    datacontenttype: Literal["application/json"]
    sequence: Annotated[int, Field(ge=1, description="counts this receipt's events")]
    data: ResultDocument


class Events(BaseModel):
    """A page of the feed."""

    events: list[Event]
    next: Annotated[str, Field(description="the cursor to read on from, the same when there was nothing new")]


class StoryStep(BaseModel):
    """One line of a receipt's story."""

    at: Time
    seconds: Annotated[float, Field(description="since the story began")]
    attempt: int
    phase: str
    seen: Annotated[str, Field(description="what the gateway said")]
    decided: str
    detail: str
    stale: Annotated[bool, Field(description="by a worker that had lost its claim: nothing was changed")]


class StoryEvent(BaseModel):
    """One announcement of a receipt."""

    sequence: int
    type: str
    id: str
    at: Time
    published_at: Time | None


class Callback(BaseModel):
    """One callback: what became of it."""

    id: Annotated[str, Field(description="the event's")]
    receipt_id: str
    sequence: int
    type: str
    endpoint: Annotated[str, Field(description="the callback_url without its query")]
    state: Literal["pending", "delivered", "failed", "paused"]
    attempts: int
    due_at: Time | None
    last_status: int | None
    last_error: str | None
    created_at: Time
    tried_at: Time | None
    delivered_at: Time | None
    failing_since: Time | None
    paused_at: Time | None


class Trace(BaseModel):
    """A receipt's story: its result document as the row stands, its steps, its events, its callbacks."""

    receipt_id: str
    order_id: str
    state: State
    final: bool
    reason: Reason | None
    message: str
    amount: int | str
    currency: Literal["KRW", "USD"]
    payment: dict[str, Any] | None
    attempts: int
    sequence: int
    updated_at: Time
    metadata: dict[str, Any]
    items: dict[str, int]
    created_at: Time
    due_at: Time | None
    leased_until: Time | None
    steps: list[StoryStep]
    events: list[StoryEvent]
    callbacks: list[Callback]


class Done(BaseModel):
    """What a person's word came to."""

    message: Annotated[str, Field(description="for people: the command's words")]
    result: ResultDocument


class Said(BaseModel):
    """What was done, in words."""

    message: str


class Shelf(BaseModel):
    """One SKU: what can be sold, what is held for open receipts, what was sold."""

    sku: str
    available: int
    held: int
    sold: int


class DeadLetter(BaseModel):
    """What came in and nobody could use."""

    id: str
    at: Time
    source: str
    reason: str
    receipt_id: Annotated[str | None, Field(description="null where it can't be read")]
    raw_base64: str
