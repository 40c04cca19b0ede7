"""What v1 and v2 say differently. `v1.py` and `v2.py` each know one; `reading.py` makes answers of what they hear."""

from dataclasses import dataclass
from typing import Protocol

from confirmation.answers import Cancelled, GatewayReceipt
from worker.gateway.exchange import Reply
from worker.gateway.fields import Document


@dataclass(frozen=True)
class Said:
    """A reply as either dialect means it: `data` for a yes, `code` for a no, neither for what we don't know."""

    status: int
    data: Document | None = None
    code: str = ""
    message: str = ""
    retry_after_seconds: float | None = None


class Dialect(Protocol):
    """One version of the API."""

    #: What the paths of all calls begin with.
    prefix: str
    submit_path: str
    #: What the path of a look-up ends with.
    lookup_query: str
    #: The statuses at which a code means no; at any other it means that nobody knows.
    refusing: frozenset[int]
    #: Codes that say: there is no such receipt.
    absent: frozenset[str]
    #: Codes of a submit that by themselves mean a decline.
    declined: frozenset[str]
    #: Codes that say: it may or may not have happened.
    unclear: frozenset[str]

    def authorization(self, token: str) -> str:
        """Word the header for a token."""

    def cancel_fields(self, receipt_id: str, cancel_id: str) -> Document:
        """Word a cancel of all that remains."""

    def hear(self, reply: Reply) -> Said:
        """Tell a yes from a no from something else."""

    def already_cancelled(self, said: Said) -> bool:
        """Whether a cancel's no says that the money is back already."""

    def receipt(self, data: Document) -> GatewayReceipt:
        """Read a look-up's or a submit's yes. Raises `OddAnswer`."""

    def cancellation(self, data: Document) -> Cancelled | GatewayReceipt:
        """Read a cancel's yes. Raises `OddAnswer` for one that doesn't say that all is back."""

    def token(self, data: Document) -> tuple[str, int]:
        """Read a token and the seconds that it has to live. Raises `OddAnswer`."""
