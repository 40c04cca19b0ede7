"""What the two API versions have in common: the shape of an answer, and what a version has to be able to say."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

from sandbox.gateway.money import read_amount
from sandbox.gateway.receipts import Cancel, Receipt
from sandbox.gateway.refusals import Refusal, Refused
from sandbox.gateway.tokens import Token, Tokens

Document = dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """An HTTP answer before it is written out."""

    status: int
    document: Any


class Wording(NamedTuple):
    """How one version says no: HTTP status, its code, and the words for people."""

    http: int
    code: Any
    message: str


class Version(ABC):
    """One version of the API: who may call, and how everything is worded."""

    #: An approval repeated within the grace gets the payment again.
    replays_approvals: bool

    @abstractmethod
    def check_access(self, header: str, tokens: Tokens) -> None:
        """Let a caller through by its Authorization header, or refuse."""

    @abstractmethod
    def token(self, token: Token, now_seconds: float) -> Answer:
        """Hand a token over."""

    @abstractmethod
    def receipt(self, receipt: Receipt) -> Answer:
        """Tell what is known of a receipt."""

    @abstractmethod
    def approval(self, receipt: Receipt) -> Answer:
        """Tell that it was approved."""

    @abstractmethod
    def cancellation(self, receipt: Receipt, amount: Decimal) -> Answer:
        """Tell that money went back."""

    @abstractmethod
    def read_cancel(self, fields: Document, currency: str) -> Cancel:
        """Read a cancel's body; refuse with `BAD_REQUEST` what can't be an amount."""

    @abstractmethod
    def receipts(self, receipts: list[Receipt]) -> Answer:
        """Tell the receipts of one order."""

    @abstractmethod
    def refusal(self, why: Refused) -> Answer:
        """Say no."""


def optional_amount(value: object, currency: str) -> Decimal | None:
    """Read an amount that may be left out; clients leave it out as nothing, as null and as an empty string."""
    if value is None or value == "":
        return None
    try:
        return read_amount(value, currency)
    except ValueError:
        raise Refusal(Refused.BAD_REQUEST) from None


def optional_text(value: object) -> str | None:
    """Read a text that may be left out; a number counts as its digits."""
    return None if value is None or value == "" else str(value)
