"""Every error that payconfirm raises on purpose.

PayconfirmError
├── InvalidOrder        nothing was sent; the document must be changed
├── NotFinal            nothing is decided yet; ask again later
├── BrokerUnavailable   the broker didn't say yes; send the same document again
├── ResultsUnavailable  the result store doesn't answer; the payment goes on without it
├── CallbackRefused     what came in isn't a callback of payconfirm's: answer 400, do nothing
└── Refuse              raised by the shop's own hook: this order can't be delivered
"""

from collections.abc import Iterable
from typing import TypedDict

__all__ = [
    "BrokerUnavailable",
    "CallbackRefused",
    "FieldError",
    "InvalidOrder",
    "NotFinal",
    "PayconfirmError",
    "Refuse",
    "ResultsUnavailable",
]


class FieldError(TypedDict):
    """One thing that is wrong with a document."""

    field: str
    message: str


class PayconfirmError(Exception):
    """Base of every error that payconfirm raises on purpose."""


class InvalidOrder(PayconfirmError, ValueError):
    """The document breaks a rule; `errors` lists all that is wrong, the text names every field."""

    def __init__(self, message: str, errors: Iterable[FieldError] = ()) -> None:
        super().__init__(message)
        self.errors = list(errors)

    @classmethod
    def of(cls, errors: Iterable[FieldError]) -> "InvalidOrder":
        """Build the error whose text says everything that is in the list."""
        found = list(errors)
        return cls("; ".join(f"{error['field']}: {error['message']}" for error in found), found)


class NotFinal(PayconfirmError):
    """The time-out is over and nothing final is known; the job goes on, ask again later."""


class BrokerUnavailable(PayconfirmError):
    """The broker didn't say that it has the message. Sending the same document again is harmless."""


class ResultsUnavailable(PayconfirmError):
    """The result store doesn't answer. What became of the payment isn't known here, only there."""


class CallbackRefused(PayconfirmError):
    """The request isn't a callback that payconfirm has signed with one of these secrets, just now."""


class Refuse(PayconfirmError):
    """The shop can't deliver this order: rejected before money has moved, sent back after."""
