"""Why the gateway says no, apart from how each version words it."""

from enum import Enum, auto


class Refused(Enum):
    """A reason to refuse a call; `v1.py` and `v2.py` each have a table of what they say to it."""

    #: The body can't be read, or a field makes no sense.
    BAD_REQUEST = auto()
    #: No such path.
    NO_SUCH_CALL = auto()
    NOT_FOUND = auto()

    TOKEN_INVALID = auto()
    KEY_UNKNOWN = auto()
    SECRET_WRONG = auto()
    TOO_FAST = auto()

    #: An approval of a receipt that isn't at 2.
    NOT_READY = auto()
    DECLINED = auto()
    #: The payment company said nothing to the approval: it may or may not have charged.
    APPROVAL_UNKNOWN = auto()

    ALREADY_CANCELLED = auto()
    CANCEL_UNDER_WAY = auto()
    CANCEL_ID_USED = auto()
    CANCEL_PRICE_OVER = auto()
    NOT_PAID = auto()
    #: Money for a virtual account goes back only to an account that the merchant names.
    NO_REFUND_ACCOUNT = auto()
    #: The payment company said no to the cancel.
    CANCEL_REFUSED = auto()
    #: The payment company said nothing to the cancel: it may or may not have given money back.
    CANCEL_UNKNOWN = auto()

    #: Bootpay itself broke while looking something up or making a token.
    BROKEN = auto()


class Refusal(Exception):
    """The call is refused; nothing was changed unless a fault says so."""

    def __init__(self, why: Refused) -> None:
        super().__init__(why.name)
        self.why = why
