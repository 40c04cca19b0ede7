"""What the gateway can answer, and what each answer is seen as.

The numbers are Bootpay's, of its v1 and v2 status tables. A number that stands in neither is `UNDOCUMENTED`: never
guessed at, and people are told.
"""

from dataclasses import dataclass
from enum import StrEnum

from confirmation.order import Money, Order


@dataclass(frozen=True)
class GatewayReceipt:
    """The gateway's own receipt: the only word that decides."""

    api: str
    status: int
    order_id: str
    amount: Money | None
    #: In the currency's smallest unit; 0 while nothing was cancelled.
    cancelled: int = 0
    method: str = ""
    virtual_account: bool = False
    #: ISO 8601 with zone, as the gateway says it.
    purchased_at: str | None = None
    receipt_url: str | None = None

    @property
    def payment(self) -> dict[str, str | None]:
        """What the result document tells of the payment."""
        return {"method": self.method or None, "purchased_at": self.purchased_at, "receipt_url": self.receipt_url}


@dataclass(frozen=True)
class Absent:
    """The gateway says that it has no such receipt."""

    message: str = ""


@dataclass(frozen=True)
class Refused:
    """The gateway answered a submit or a cancel with a no. Only a look-up says what became of the receipt."""

    code: str
    message: str = ""
    #: Whether this very code means a decline (v2's RC_CONFIRM_FAILED); v1 has no such code.
    explicit: bool = False


@dataclass(frozen=True)
class Cancelled:
    """All the money is back: the cancel's own answer, or "already cancelled"."""

    message: str = ""
    #: Somebody else had cancelled it; a receipt cancelled in the payment company's console may show "paid" for ever.
    already: bool = False


@dataclass(frozen=True)
class Silence:
    """No word: a timeout, a reset, 401, 429, 5xx, something that isn't JSON. Anything may have happened."""

    why: str
    #: Whether the call itself has come to an end, so that the gateway can't be at work on it any more.
    ended: bool = False
    #: As the gateway asked by `Retry-After`.
    retry_after_seconds: float | None = None
    #: False where no call was made, since the gateway is known to be away.
    asked: bool = True


Answer = GatewayReceipt | Absent | Refused | Cancelled | Silence


class Seen(StrEnum):
    """The rows of the decision table."""

    READY = "ready"
    READY_OTHER_AMOUNT = "ready, other amount or currency"
    IN_FLIGHT = "in flight"
    IN_FLIGHT_OTHER_AMOUNT = "in flight, other amount or currency"
    PAID = "paid"
    PAID_OTHER_AMOUNT = "paid, other amount or currency"
    PARTLY_CANCELLED = "partly cancelled"
    FAILED = "failed"
    CANCELLED = "cancelled in full"
    CANCEL_UNDER_WAY = "a cancel under way"
    CANCEL_FAILED = "a cancel failed"
    NOT_THERE = "not yet authorised, or not there"
    AWAITING_DEPOSIT = "waiting for a deposit"
    NOT_A_PAYMENT = "not a payment"
    OTHER_ORDER = "another order's"
    UNDOCUMENTED = "a number nobody documented"
    NO_WORD = "no word"


_BOTH = {
    0: Seen.NOT_THERE,
    1: Seen.PAID,
    2: Seen.READY,
    11: Seen.NOT_A_PAYMENT,
    20: Seen.CANCELLED,
    -2: Seen.FAILED,
    -3: Seen.FAILED,
    -11: Seen.NOT_A_PAYMENT,
}
STATUSES = {
    "v1": _BOTH | {3: Seen.IN_FLIGHT, -1: Seen.FAILED, -20: Seen.CANCEL_FAILED, -30: Seen.CANCEL_UNDER_WAY},
    "v2": _BOTH
    | {4: Seen.IN_FLIGHT, 5: Seen.AWAITING_DEPOSIT, -4: Seen.FAILED}
    | dict.fromkeys((12, 40, 41, 42, 50, 60, 61, -40, -60, -61), Seen.NOT_A_PAYMENT),
}

#: A gateway may say a number with thousands of digits; people need the ones that could be a status.
_LONG_STATUS = 10**9

_OTHER_AMOUNT = {
    Seen.READY: Seen.READY_OTHER_AMOUNT,
    Seen.IN_FLIGHT: Seen.IN_FLIGHT_OTHER_AMOUNT,
    Seen.PAID: Seen.PAID_OTHER_AMOUNT,
}


def see(answer: Answer, order: Order) -> Seen:
    """Say which row of the decision table a look-up's answer belongs to."""
    match answer:
        case GatewayReceipt():
            return _see_receipt(answer, order)
        case Absent():
            return Seen.NOT_THERE
        case Cancelled():
            return Seen.CANCELLED
        case _:
            return Seen.NO_WORD


def words(answer: Answer, seen: Seen) -> str:
    """What was seen, in words for people; of a number that nobody documented, which one it is."""
    if seen is not Seen.UNDOCUMENTED or not isinstance(answer, GatewayReceipt):
        return seen.value
    status = answer.status if abs(answer.status) < _LONG_STATUS else "of many digits"
    return f"{seen} (status {status})"


def without_status(message: str) -> str:
    """A message, unless it is what `words` says of a number that nobody documented: that is true only for a while."""
    return "" if message.startswith(Seen.UNDOCUMENTED) else message


def _see_receipt(receipt: GatewayReceipt, order: Order) -> Seen:
    if receipt.order_id != order.order_id:
        return Seen.OTHER_ORDER
    seen = STATUSES[receipt.api].get(receipt.status, Seen.UNDOCUMENTED)
    if seen in (Seen.PAID, Seen.CANCELLED):
        seen = _see_cancelled(receipt, seen)
    if seen is Seen.READY and receipt.virtual_account:
        seen = Seen.AWAITING_DEPOSIT
    if receipt.amount != order.amount:
        seen = _OTHER_AMOUNT.get(seen, seen)
    return seen


def _see_cancelled(receipt: GatewayReceipt, seen: Seen) -> Seen:
    """Go by the sums: Bootpay's two texts disagree about the number after a partial cancel."""
    if not receipt.cancelled:
        return seen
    whole = receipt.amount is not None and receipt.cancelled >= receipt.amount.minor
    return Seen.CANCELLED if whole else Seen.PARTLY_CANCELLED
