"""What the rules need from the world. Each has a real part in `worker/` and a twin in `sandbox/twins.py`."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Protocol
from uuid import UUID, uuid4

from confirmation.answers import Answer
from confirmation.confirmation import Confirmation, Job
from confirmation.decisions import Refusal
from confirmation.events import Event
from confirmation.order import Order
from confirmation.steadiness import Steadiness


class Gateway(Protocol):
    """The payment gateway, as far as confirming needs it.

    Every answer is one of `confirmation.answers`; no call raises for what the gateway says or fails to say. A call
    whose first byte can't be sent before `start_by` (monotonic) isn't made: it raises `ClaimLost`.
    """

    def look_up(self, receipt_id: str, *, start_by: float) -> Answer:
        """Say what the gateway knows now. Changes nothing."""

    def submit(self, receipt_id: str, *, start_by: float) -> Answer:
        """Ask for the money to move. Whatever is answered, only a receipt that says paid is believed."""

    def cancel(self, receipt_id: str, cancel_id: str, *, start_by: float) -> Answer:
        """Ask for all that remains to go back. A repeated `cancel_id` is not done twice."""


class Lock(Protocol):
    """Makes duplicates cheap. Safety doesn't come from it: without its server everybody holds it."""

    def __call__(self, receipt_id: str) -> AbstractContextManager[bool]:
        """Hold the receipt's lock, or say False at once when another worker does."""


class Budget(Protocol):
    """The calls that the gateway may be asked, all workers together."""

    def __call__(self, *, urgent: bool) -> bool:
        """Take one call, waiting a moment for it if it is urgent: a buyer waits. False where none is free."""


def unlimited(*, urgent: bool) -> bool:
    """Grant every call at once."""
    del urgent
    return True


class Stock(StrEnum):
    """What a commit does with the items that the receipt holds."""

    KEEP = "keep"
    SELL = "sell"
    RELEASE = "release"


@dataclass(frozen=True)
class Step:
    """One line of the receipt's story, written in the commit that it tells of."""

    phase: str
    #: What the gateway said, as the decision table names it, or the answer to a submit or a cancel.
    seen: str
    decided: str
    detail: str = ""
    id: UUID = field(default_factory=uuid4)


@dataclass(frozen=True)
class Commit:
    """One short commit: the row as it becomes, and all that is written beside it.

    With `lease_seconds` the worker keeps its hold, renewed; without it the hold is given up and the row is due again
    after `wait` (None: never, until somebody asks).
    """

    before: Confirmation
    after: Confirmation
    step: Step
    lease_seconds: float | None = None
    wait: timedelta | None = None
    stock: Stock = Stock.KEEP
    event: Event | None = None


class Store(Protocol):
    """The rows: the truth. Every write matches only the fence and the state that the worker knows.

    Where the shop has a hook, its part of a commit (`hooks.py`) is in that commit's transaction. `HookRefused` and
    `HookFailed` from a write mean that nothing was written, the hook's own statements included.

    `ClaimLost` from a write means that nothing was changed but the step, which is kept, and that the row is due now
    unless it has ended. `StoreUnavailable` means that the answer is in the row.
    """

    def claim(self, job: Job, lease_seconds: float) -> Confirmation:
        """Claim the job's receipt if nobody has it, inserting the row where the job carries the order.

        The confirmation has a hold if, and only if, this worker has it now. Raises `DifferentDocument`; raises
        `LookupError` for a receipt without a row whose job carries no order.
        """

    def keep(self, order: Order, due_seconds: float) -> Confirmation:
        """Make sure that the row exists, due in so many seconds if it is new. Raises `DifferentDocument`."""

    def renew(self, confirmation: Confirmation, lease_seconds: float) -> Confirmation:
        """Extend the hold before the next call. Raises `ClaimLost`."""

    def reserve(self, commit: Commit) -> Confirmation | Refusal:
        """Take every item or none, own the order, and write the commit; or say why not and write nothing."""

    def write(self, commit: Commit) -> Confirmation:
        """Write the commit, stock and event included, or raise `ClaimLost`."""

    def tell_again(self, confirmation: Confirmation) -> None:
        """Have the result of an ended confirmation stored again for those who poll."""


@dataclass(frozen=True)
class Terms:
    """Deadlines and leases. A lease outlives its call and the commit after it."""

    deadline: timedelta = timedelta(minutes=10)
    lookup_seconds: float = 5
    submit_seconds: float = 12
    lookup_lease_seconds: float = 10
    #: Of a submit and of a cancel.
    submit_lease_seconds: float = 18


@dataclass(frozen=True)
class World:
    """All that one worker process needs to carry receipts."""

    store: Store
    gateway: Gateway
    lock: Lock
    terms: Terms
    #: Monotonic seconds.
    tick: Callable[[], float]
    #: A number from 0 to 1.
    jitter: Callable[[], float]
    event_id: Callable[[], UUID]
    budget: Budget = unlimited
    #: Of the database's clock, as this process sees it.
    steadiness: Steadiness = field(default_factory=Steadiness)
