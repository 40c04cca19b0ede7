"""A receipt and everything that can happen to it, apart from HTTP. No step here can be interrupted by another."""

import secrets
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from sandbox.gateway import statuses
from sandbox.gateway.clock import Clock
from sandbox.gateway.ledger import Ledger, Move
from sandbox.gateway.refusals import Refusal, Refused

#: v2 answers repeated approvals with the same payment for this long (the client extra `confirm_grace_seconds`).
GRACE_SECONDS = 10.0


@dataclass(slots=True)
class Receipt:
    """One payment window's receipt, as the store behind both versions keeps it. `status` is of `statuses.py`."""

    receipt_id: str
    order_id: str
    price: Decimal
    currency: str
    method: str
    status: int
    name: str
    requested_at: datetime
    tax_free: Decimal = Decimal(0)
    cancelled_price: Decimal = Decimal(0)
    cancelled_tax_free: Decimal = Decimal(0)
    purchased_at: datetime | None = None
    cancelled_at: datetime | None = None
    #: The clock's seconds of the approval through the API; a receipt that was opened as paid has none, so no grace.
    approved_at_seconds: float | None = None
    cancel_ids: set[str] = field(default_factory=set)
    #: What a fault shows instead of the status, the same number in both versions.
    shown_status: int | None = None

    @property
    def remaining(self) -> Decimal:
        """What was charged and hasn't gone back."""
        return self.price - self.cancelled_price


@dataclass(frozen=True)
class Cancel:
    """What a merchant asks to be given back; no price means all that remains."""

    price: Decimal | None = None
    tax_free: Decimal | None = None
    cancel_id: str | None = None
    has_refund_account: bool = False


class Receipts:
    """All receipts, and the ledger of the money that moved for them."""

    def __init__(self, clock: Clock) -> None:
        self.ledger = Ledger()
        self._clock = clock
        self._receipts: dict[str, Receipt] = {}
        self._of_order: defaultdict[str, list[Receipt]] = defaultdict(list)

    def __iter__(self) -> Iterator[Receipt]:
        return iter(self._receipts.values())

    def __contains__(self, receipt_id: str) -> bool:
        return receipt_id in self._receipts

    def add(self, receipt: Receipt) -> None:
        """Keep a new receipt; one that starts out paid was charged."""
        self._receipts[receipt.receipt_id] = receipt
        self._of_order[receipt.order_id].append(receipt)
        self.settle_by_hand(receipt)

    def get(self, receipt_id: str) -> Receipt:
        """Return the receipt, or refuse with `NOT_FOUND`."""
        try:
            return self._receipts[receipt_id]
        except KeyError:
            raise Refusal(Refused.NOT_FOUND) from None

    def of_order(self, order_id: str) -> list[Receipt]:
        """List the receipts of one order, oldest first."""
        return list(self._of_order.get(order_id, ()))

    def in_grace(self, receipt: Receipt) -> bool:
        """Say whether v2 still answers a repeated approval with this payment."""
        if receipt.status != statuses.PAID or receipt.approved_at_seconds is None:
            return False
        return self._clock.seconds() - receipt.approved_at_seconds <= GRACE_SECONDS

    def begin_approval(self, receipt: Receipt) -> None:
        """Put a ready receipt in flight; any other is refused, so only one caller ever gets past here."""
        if receipt.status != statuses.READY:
            raise Refusal(Refused.NOT_READY)
        receipt.status = statuses.IN_FLIGHT

    def charge(self, receipt: Receipt) -> None:
        """Record the charge and turn the receipt paid."""
        receipt.status = statuses.PAID
        receipt.purchased_at = self._clock.now()
        receipt.approved_at_seconds = self._clock.seconds()
        self._record("charge", receipt, receipt.price, via="api")

    def cancel(self, receipt: Receipt, cancel: Cancel) -> Decimal:
        """Give money back once and return how much it was; refuse what can't be given back."""
        amount = self._claim_cancel(receipt, cancel)
        self._give_back(receipt, amount, via="api")
        tax_free_left = receipt.tax_free - receipt.cancelled_tax_free
        asked = tax_free_left if not receipt.remaining else cancel.tax_free or Decimal(0)
        receipt.cancelled_tax_free += min(asked, tax_free_left)
        return amount

    def begin_cancel(self, receipt: Receipt, cancel: Cancel) -> None:
        """Leave a cancel under way: the money is still here, and no other cancel gets in."""
        self._claim_cancel(receipt, cancel)
        receipt.status = statuses.CANCELLING

    def check_cancel(self, receipt: Receipt, cancel: Cancel) -> Decimal:
        """Return what a cancel would give back, or refuse; change nothing."""
        if receipt.status == statuses.CANCELLED:
            raise Refusal(Refused.ALREADY_CANCELLED)
        if receipt.status == statuses.CANCELLING:
            raise Refusal(Refused.CANCEL_UNDER_WAY)
        if receipt.status not in statuses.HOLDS_MONEY:
            raise Refusal(Refused.NOT_PAID)
        if cancel.cancel_id in receipt.cancel_ids:
            raise Refusal(Refused.CANCEL_ID_USED)
        amount = receipt.remaining if cancel.price is None else cancel.price
        if not 0 < amount <= receipt.remaining:
            raise Refusal(Refused.CANCEL_PRICE_OVER)
        if receipt.method == "vbank" and not cancel.has_refund_account:
            raise Refusal(Refused.NO_REFUND_ACCOUNT)
        return amount

    def settle_by_hand(self, receipt: Receipt) -> None:
        """Let the ledger follow a status that a test has set: paid was charged, cancelled went back."""
        moved = receipt.status in statuses.HOLDS_MONEY or receipt.status == statuses.CANCELLED
        if moved and not self.ledger.was_charged(receipt.receipt_id):
            receipt.purchased_at = receipt.purchased_at or self._clock.now()
            self._record("charge", receipt, receipt.price, via="control")
        if receipt.status == statuses.CANCELLED and receipt.remaining > 0:
            self._give_back(receipt, receipt.remaining, via="control")

    def give_back_by_hand(self, receipt: Receipt, cancelled_price: Decimal) -> None:
        """Let money go back (or the books be put right) without a call, as in the payment company's own console."""
        if cancelled_price > receipt.cancelled_price and receipt.status in statuses.HOLDS_MONEY:
            self._give_back(receipt, cancelled_price - receipt.cancelled_price, via="control")
        receipt.cancelled_price = cancelled_price

    def move_to_order(self, receipt: Receipt, order_id: str) -> None:
        """Put a receipt under another order."""
        self._of_order[receipt.order_id].remove(receipt)
        receipt.order_id = order_id
        self._of_order[order_id].append(receipt)

    def _claim_cancel(self, receipt: Receipt, cancel: Cancel) -> Decimal:
        amount = self.check_cancel(receipt, cancel)
        if cancel.cancel_id:
            receipt.cancel_ids.add(cancel.cancel_id)
        return amount

    def _give_back(self, receipt: Receipt, amount: Decimal, *, via: str) -> None:
        receipt.cancelled_price += amount
        receipt.cancelled_at = self._clock.now()
        receipt.status = statuses.PAID if receipt.remaining else statuses.CANCELLED
        self._record("cancel", receipt, amount, via=via)

    def _record(self, kind: str, receipt: Receipt, amount: Decimal, *, via: str) -> None:
        at = self._clock.now().isoformat(timespec="milliseconds")
        self.ledger.record(Move(kind, receipt.receipt_id, receipt.order_id, receipt.currency, amount, at, via))


def new_receipt_id() -> str:
    """Make up an id of Bootpay's shape: 24 hex digits."""
    return secrets.token_hex(12)
