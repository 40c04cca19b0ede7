"""The gateway in memory: receipts, the truth about them, and calls that fail as told."""

from collections import deque
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from confirmation.answers import Absent, Answer, Cancelled, GatewayReceipt, Refused
from confirmation.errors import ClaimLost
from confirmation.order import Money
from sandbox.twins.clock import Clock

PAID, READY, CANCELLED = 1, 2, 20
#: What each version answers to a submit that the card company declines.
DECLINES = {
    "v1": Refused("-2101", "the card was declined"),
    "v2": Refused("RC_CONFIRM_FAILED", "the card was declined", explicit=True),
}


@dataclass(frozen=True)
class Fault:
    """What one call does instead of working well: it may act or not, whatever it answers."""

    #: The answer given; None: the true one.
    answer: Answer | None = None
    #: Whether the call does what was asked.
    acts: bool = True
    #: What look-ups show for a while after the call, whatever the truth is.
    shows: int | None = None
    shows_seconds: float = 0


WORKS = Fault()


@dataclass
class TwinReceipt:
    """One receipt, as the gateway really has it."""

    order_id: str
    amount: Money
    status: int = READY
    api: str = "v2"
    cancelled: int = 0
    virtual_account: bool = False
    #: How often the buyer was charged.
    charges: int = 0
    #: The status that a submit leads to where the card company declines; None: it doesn't.
    declined_as: int | None = None
    #: Every cancel by its id, and what it was answered; a repeated id is answered the same.
    cancels: dict[str, Answer] = field(default_factory=dict)
    shows: int | None = None
    shows_until: float = 0

    @property
    def taken(self) -> int:
        """The money that the gateway keeps for it, in the smallest unit."""
        return self.charges * self.amount.minor - self.cancelled

    def pay(self) -> None:
        """Charge the buyer."""
        self.status = PAID
        self.charges += 1

    def cancel_elsewhere(self, *, whole: bool) -> bool:
        """Cancel all of what remains, or half, as in the payment company's console; say whether there was any."""
        part = self.taken if whole else self.taken // 2
        if self.status != PAID or part <= 0:
            return False
        self.cancelled += part
        self.status = CANCELLED if whole else PAID
        return True

    def seen(self, status: int) -> GatewayReceipt:
        """Give the receipt as a look-up tells of it."""
        return _told(self.api, status, self.order_id, self.amount, self.cancelled, self.virtual_account)


class TwinGateway:
    """A `confirmation.ports.Gateway` that can be told what to say and what to do."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.receipts: dict[str, TwinReceipt] = {}
        #: Every call that was made, in order: its name and the receipt.
        self.calls: list[tuple[str, str]] = []
        self._faults: dict[tuple[str, str], deque[Fault]] = {}

    def tell(self, receipt_id: str, call: str, *faults: Fault) -> None:
        """Have the receipt's next calls of this name go like this, one after the other."""
        self._faults.setdefault((receipt_id, call), deque()).extend(faults)

    def truth(self, receipt_id: str) -> Answer:
        """Say how it really stands, whatever look-ups show."""
        receipt = self.receipts.get(receipt_id)
        return receipt.seen(receipt.status) if receipt else Absent("no such receipt")

    # The port ---------------------------------------------------------------------------------------------------------

    def look_up(self, receipt_id: str, *, start_by: float) -> Answer:
        """Say what the gateway shows now."""
        fault = self._called("look_up", receipt_id, start_by)
        if fault.answer is not None:
            return fault.answer
        receipt = self.receipts.get(receipt_id)
        return receipt.seen(self._shown(receipt)) if receipt else Absent("no such receipt")

    def submit(self, receipt_id: str, *, start_by: float) -> Answer:
        """Charge the buyer, or decline, or fail."""
        fault = self._called("submit", receipt_id, start_by)
        receipt = self.receipts.get(receipt_id)
        if receipt is None:
            return Refused("RC_NOT_FOUND")
        answer = self._charge(receipt) if fault.acts else Refused("RC_NOT_NOW")
        if fault.shows is not None:
            receipt.shows, receipt.shows_until = fault.shows, self._clock.tick() + fault.shows_seconds
        return fault.answer or answer

    def cancel(self, receipt_id: str, cancel_id: str, *, start_by: float) -> Answer:
        """Give back all that remains, once for each id."""
        fault = self._called("cancel", receipt_id, start_by)
        receipt = self.receipts[receipt_id]
        if cancel_id in receipt.cancels:
            return receipt.cancels[cancel_id]
        answer = _refund(receipt) if fault.acts else fault.answer or Refused("RC_NOT_NOW")
        if fault.acts or isinstance(answer, Refused):
            receipt.cancels[cancel_id] = answer
        return fault.answer or answer

    # What they do -----------------------------------------------------------------------------------------------------

    def _called(self, call: str, receipt_id: str, start_by: float) -> Fault:
        if self._clock.tick() > start_by:
            raise ClaimLost(f"{call} of {receipt_id}: too little of the lease is left")
        self.calls.append((call, receipt_id))
        faults = self._faults.get((receipt_id, call))
        return faults.popleft() if faults else WORKS

    def _shown(self, receipt: TwinReceipt) -> int:
        hidden = receipt.shows is not None and self._clock.tick() < receipt.shows_until
        return receipt.shows if hidden and receipt.shows is not None else receipt.status

    def _charge(self, receipt: TwinReceipt) -> Answer:
        """Charge. v1 is taken to charge again while an earlier submit is not yet to be seen; v2 says it doesn't."""
        at_work = receipt.status == PAID and self._shown(receipt) != PAID
        if receipt.status != READY and not (at_work and receipt.api == "v1"):
            return Refused("RC_NOT_READY")
        if receipt.declined_as is not None:
            receipt.status = receipt.declined_as
            return DECLINES[receipt.api]
        receipt.pay()
        return receipt.seen(PAID)


@lru_cache(maxsize=10_000)
def _told(*fields: Any) -> GatewayReceipt:  # noqa: ANN401 - the fields of a GatewayReceipt
    """Make it once: most looks in a row see the same."""
    api, status, order_id, amount, cancelled, virtual_account = fields
    return GatewayReceipt(api, status, order_id, amount, cancelled, method="card", virtual_account=virtual_account)


def _refund(receipt: TwinReceipt) -> Answer:
    if receipt.status == CANCELLED:
        return Cancelled(already=True)
    if receipt.taken <= 0 or receipt.virtual_account:
        return Refused("RC_CANCEL_FAILED")
    receipt.cancelled += receipt.taken
    receipt.status = CANCELLED
    return Cancelled()
