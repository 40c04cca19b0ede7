"""One look at a receipt: all that a decision may depend on."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Self

from confirmation import waits
from confirmation.answers import Absent, Answer, GatewayReceipt, Seen, see, without_status, words
from confirmation.confirmation import Confirmation
from confirmation.states import Reason


@dataclass(frozen=True)
class Case:
    """What is known when a look-up has been answered. `confirmation` already counts this look."""

    confirmation: Confirmation
    answer: Answer
    seen: Seen
    #: When the gateway was asked: what it answered may be as old as that, however long the answer lay about since.
    asked: datetime
    now: datetime
    deadline: timedelta
    #: From 0 to 1; spreads waits.
    jitter: float
    #: The call that was answered, where it was no look-up.
    call: str = ""
    #: What the shop's own hook said, where it refused or failed.
    shop_said: str = ""
    #: Whether the database's clock has gone on steadily for longer than a submit can be at work.
    steady: bool = True

    @classmethod
    def of(  # noqa: PLR0913 — two moments, each named
        cls,
        confirmation: Confirmation,
        answer: Answer,
        *,
        asked: datetime,
        now: datetime,
        deadline: timedelta,
        jitter: float,
    ) -> Self:
        """Make the case of this answer, with the look counted."""
        seen = see(answer, confirmation.order)
        return cls(_count(confirmation, answer, seen, asked), answer, seen, asked, now, deadline, jitter)

    @property
    def past_deadline(self) -> bool:
        """Whether nothing may be submitted any more."""
        return self.confirmation.past(self.deadline, self.now)

    @property
    def settled(self) -> bool:
        """Whether two looks, far enough apart and after the last submit can have ended, saw the same."""
        confirmation = self.confirmation
        return self.steady and confirmation.looks > 1 and self.seen_for >= waits.SETTLE

    @property
    def seen_for(self) -> timedelta:
        """How long it has been seen as what it is seen as now."""
        return self.asked - (self.confirmation.seen_since or self.asked)

    @property
    def until_settled(self) -> timedelta:
        """How long until the next look can settle it."""
        submitted_until = self.confirmation.submitted_until
        if submitted_until is not None and submitted_until > self.now:
            return submitted_until - self.now
        return max(waits.SETTLE - self.seen_for, timedelta()) if self.steady else waits.SETTLE

    @property
    def virtual_account(self) -> bool:
        """Whether the buyer pays into an account: it can't be refunded without the buyer's own."""
        return isinstance(self.answer, GatewayReceipt) and self.answer.virtual_account

    @property
    def reason(self) -> Reason:
        """The reason that what was seen gives for not confirming."""
        if self.seen in _MISMATCHES:
            return self._mismatch
        if self.seen is Seen.FAILED and self.confirmation.submits:
            return Reason.DECLINED
        if self.seen is Seen.NOT_THERE and isinstance(self.answer, Absent):
            return Reason.RECEIPT_NOT_FOUND
        return _REASONS.get(self.seen, Reason.GATEWAY_UNCLEAR)

    def message(self, reason: Reason | None) -> str:
        """What a person reads beside the reason: the gateway's own words where it had any."""
        if reason is Reason.REFUSED_BY_HOOK:
            return self.shop_said or without_status(self.confirmation.message)
        if reason is Reason.DECLINED:
            return without_status(self.confirmation.message)
        if reason in (Reason.AMOUNT_MISMATCH, Reason.CURRENCY_MISMATCH) and isinstance(self.answer, GatewayReceipt):
            amount = self.answer.amount
            return f"the gateway's receipt says {amount.as_document()} {amount.currency}" if amount else ""
        return self.answer.message if isinstance(self.answer, Absent) else ""

    @property
    def question(self) -> str:
        """What people who are asked read beside the reason: what was said before, or the number nobody documented."""
        kept = self.confirmation.message
        return kept if kept or self.seen is not Seen.UNDOCUMENTED else words(self.answer, self.seen)

    @property
    def _mismatch(self) -> Reason:
        amount = self.answer.amount if isinstance(self.answer, GatewayReceipt) else None
        same_currency = amount is not None and amount.currency == self.confirmation.order.amount.currency
        return Reason.AMOUNT_MISMATCH if same_currency else Reason.CURRENCY_MISMATCH


_MISMATCHES = {Seen.READY_OTHER_AMOUNT, Seen.IN_FLIGHT_OTHER_AMOUNT, Seen.PAID_OTHER_AMOUNT}

_REASONS = {
    Seen.FAILED: Reason.PAYMENT_FAILED,
    Seen.CANCELLED: Reason.ALREADY_CANCELLED,
    Seen.PARTLY_CANCELLED: Reason.PARTLY_CANCELLED,
    Seen.CANCEL_FAILED: Reason.CANCEL_FAILED,
    Seen.NOT_THERE: Reason.NOT_READY,
    Seen.NOT_A_PAYMENT: Reason.NOT_READY,
    Seen.AWAITING_DEPOSIT: Reason.AWAITING_DEPOSIT,
    Seen.OTHER_ORDER: Reason.ORDER_MISMATCH,
}


def _count(confirmation: Confirmation, answer: Answer, seen: Seen, asked: datetime) -> Confirmation:
    """Count the look. No word is no look, and a look while a submit may be at work settles nothing."""
    if isinstance(answer, GatewayReceipt):
        confirmation = replace(confirmation, payment=answer.payment)
    if seen is Seen.NO_WORD:
        return confirmation
    if confirmation.submitted_until is not None and asked < confirmation.submitted_until:
        return replace(confirmation, seen=seen, seen_since=asked, looks=0)
    again = confirmation.seen == seen and confirmation.looks > 0
    return replace(
        confirmation,
        seen=seen,
        seen_since=confirmation.seen_since if again else asked,
        looks=confirmation.looks + 1 if again else 1,
    )
