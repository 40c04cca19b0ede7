"""Everything that one running gateway holds."""

from dataclasses import dataclass

from sandbox.gateway.clock import Clock
from sandbox.gateway.faults import Faults
from sandbox.gateway.receipts import Receipts
from sandbox.gateway.tokens import Keys, Tokens


@dataclass(frozen=True)
class Latency:
    """How long a call takes, in seconds; a cancel takes as long as an approval."""

    lookup_seconds: float = 0.0
    approve_seconds: float = 0.0


class World:
    """One gateway's state; nothing of it outlives the process."""

    def __init__(self, keys: Keys, latency: Latency) -> None:
        self.latency = latency
        self._keys = keys
        self.reset()

    def reset(self) -> None:
        """Start anew. A call under way ends in the old state and leaves no trace in the new."""
        self.clock = Clock()
        self.tokens = Tokens(self._keys, self.clock)
        self.receipts = Receipts(self.clock)
        self.faults = Faults()
