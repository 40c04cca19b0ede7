"""One confirmation: the row, as the rules see it, and the worker's hold on it."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from confirmation.order import Order
from confirmation.states import FINAL, Hooked, Reason, State

#: So many claims in a row may write nothing more; the next one gives the receipt to people.
MOST_IDLE_CLAIMS = 5


@dataclass(frozen=True)
class Job:
    """One message: look at this receipt.

    A producer's message carries the order and knows no fence, so it claims only a row that was never claimed. The
    sweep's message names the fence that it saw (None for a row never claimed), and claims only that one.
    """

    receipt_id: str
    order: Order | None = None
    fence: UUID | None = None


@dataclass(frozen=True)
class Hold:
    """A worker's claim: nobody else starts on the row before the lease is over.

    `granted` is the worker's monotonic clock before it asked for the lease, so that the worker always believes the
    lease to be over no later than the database does. `granted_at` is the database's clock when it granted it.
    """

    fence: UUID
    granted: float
    granted_at: datetime
    seconds: float
    #: Whether a gateway call was already made under this grant; the next one renews first.
    used: bool = False
    #: Whether the submit that the row speaks of is still to be sent by this worker.
    may_submit: bool = False

    def age(self, tick: float) -> float:
        """Seconds since it was granted, at a moment of the monotonic clock."""
        return tick - self.granted

    def start_by(self, call_seconds: float) -> float:
        """The last moment of the monotonic clock at which a call that may take this long may still begin."""
        return self.granted + self.seconds - call_seconds

    def now(self, tick: float) -> datetime:
        """The database's clock at a moment of the worker's monotonic one (late by at most one round trip)."""
        return self.granted_at + timedelta(seconds=tick - self.granted)


@dataclass(frozen=True)
class Confirmation:
    """A receipt's row as it was last read or written. Times are the database's, in UTC."""

    order: Order
    state: State
    created_at: datetime
    updated_at: datetime
    state_since: datetime
    reason: Reason | None = None
    message: str = ""
    #: Where a review came from: received, submitting or voiding.
    review_from: State | None = None
    #: What led to voiding; the reason of what comes after it.
    void_reason: Reason | None = None
    payment: dict[str, Any] | None = None
    attempts: int = 0
    #: Claims in a row after which nothing was written.
    idle_claims: int = 0
    sequence: int = 0
    #: What the gateway's receipt was last seen as, since when, and how often in a row.
    seen: str | None = None
    seen_since: datetime | None = None
    looks: int = 0
    #: How often in a row it was parked: waits grow with it.
    parks: int = 0
    submits: int = 0
    #: When the last submit can have ended: its own answer, or the end of its lease.
    submitted_until: datetime | None = None
    #: The code with which the last submit was refused, and whether that amounts to a decline.
    refusal: str | None = None
    declined: bool = False
    #: The number in the next cancel's id; grows only after a refusal and a look-up that shows nothing cancelled.
    cancel_number: int = 1
    cancel_refused: bool = False
    owns_order: bool = False
    #: What the shop's own tables know of it; None: nothing, or nothing any more.
    hooked: Hooked | None = None
    hold: Hold | None = field(default=None, compare=False)

    @property
    def receipt_id(self) -> str:
        """The receipt's id, which is the confirmation's."""
        return self.order.receipt_id

    @property
    def can_move(self) -> bool:
        """Whether this worker holds it; parked, ended and claimed elsewhere all mean that it can't move."""
        return self.hold is not None

    @property
    def final(self) -> bool:
        """Whether those who wait have their result."""
        return self.state in FINAL

    @property
    def origin(self) -> State:
        """The state whose rules apply: its own, or in review the one it came from."""
        return self.review_from if self.state is State.REVIEW and self.review_from else self.state

    @property
    def keeps_crashing(self) -> bool:
        """Whether too many claims in a row wrote nothing: the document ends its workers."""
        return self.idle_claims > MOST_IDLE_CLAIMS

    @property
    def holds_stock(self) -> bool:
        """Whether its items are held (and its order owned) while the outcome is open."""
        return self.origin is State.SUBMITTING

    def past(self, deadline: timedelta, now: datetime) -> bool:
        """Whether nothing may be submitted any more."""
        return now >= self.created_at + deadline
