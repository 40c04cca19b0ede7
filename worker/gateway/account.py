"""Whose receipts these are, and where the gateway is."""

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Account:
    """A merchant's access to Bootpay. Its repr shows no key."""

    api: Literal["v1", "v2"]
    #: Without a path: v2 is found under `/v2` of the same host.
    url: str
    application_id: str = field(default="", repr=False)
    private_key: str = field(default="", repr=False)
    #: v2's Basic scheme; wins when set.
    client_key: str = field(default="", repr=False)
    secret_key: str = field(default="", repr=False)

    @property
    def basic(self) -> bool:
        """Whether calls carry the keys themselves, so that no token is asked for."""
        return self.api == "v2" and bool(self.client_key and self.secret_key)
