"""The states of a confirmation and the reasons for them."""

from enum import StrEnum


class State(StrEnum):
    """Where a confirmation stands. Final states are past participles."""

    #: Known; nothing is held, nothing was sent.
    RECEIVED = "received"
    #: Stock is held; the approval may have been sent.
    SUBMITTING = "submitting"
    #: Paid, but it can't be delivered: the stock is released, the money must go back.
    VOIDING = "voiding"
    #: No clear word from the gateway, or a case for people; they are told.
    REVIEW = "review"
    #: Ended. May yet be proven paid by a late look.
    REJECTED = "rejected"
    #: Ended well.
    CONFIRMED = "confirmed"
    #: Ended; the money is back.
    VOIDED = "voided"

    @property
    def final(self) -> bool:
        """Whether those who wait for the result have it."""
        return self in FINAL


FINAL = frozenset({State.REJECTED, State.CONFIRMED, State.VOIDED})


class Reason(StrEnum):
    """Why a confirmation isn't, or isn't yet, confirmed."""

    AMOUNT_MISMATCH = "amount_mismatch"
    CURRENCY_MISMATCH = "currency_mismatch"
    ORDER_MISMATCH = "order_mismatch"
    ORDER_ALREADY_PAID = "order_already_paid"
    RECEIPT_NOT_FOUND = "receipt_not_found"
    #: Not authorised yet, or no payment at all.
    NOT_READY = "not_ready"
    AWAITING_DEPOSIT = "awaiting_deposit"
    #: It had failed before we submitted.
    PAYMENT_FAILED = "payment_failed"
    ALREADY_CANCELLED = "already_cancelled"
    #: It failed after we submitted.
    DECLINED = "declined"
    OUT_OF_STOCK = "out_of_stock"
    UNKNOWN_SKU = "unknown_sku"
    REFUSED_BY_HOOK = "refused_by_hook"
    #: Still ready, and too late to submit.
    DEADLINE_EXCEEDED = "deadline_exceeded"
    #: Rejected, and then found paid: the money goes back.
    LATE_APPROVAL = "late_approval"
    #: A person voided or resolved it.
    OPERATOR = "operator"
    # The rest stands only in review and says why people are asked.
    GATEWAY_UNCLEAR = "gateway_unclear"
    CANCEL_FAILED = "cancel_failed"
    PARTLY_CANCELLED = "partly_cancelled"
    HOOK_FAILED = "hook_failed"
    KEEPS_CRASHING = "keeps_crashing"
    VIRTUAL_ACCOUNT_REFUND = "virtual_account_refund"
    ORDER_UNDECIDED = "order_undecided"


class Hooked(StrEnum):
    """What the shop's own tables know of a receipt, by what its hook was last called for."""

    RESERVED = "reserved"
    COMMITTED = "committed"


#: A receipt rejected for these was never ours to judge: another document may take it over.
REPLACEABLE = frozenset({Reason.ORDER_MISMATCH, Reason.RECEIPT_NOT_FOUND})
