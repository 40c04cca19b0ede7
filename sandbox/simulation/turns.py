"""One at a time: nobody claims what another's lease covers, and no two submits of a receipt are at work at once."""

from datetime import datetime

from confirmation.confirmation import Confirmation
from sandbox.simulation.broken import PromiseBroken
from sandbox.twins import Twins

#: Since when, by the database's clock, and for how many seconds.
Lease = tuple[datetime, float]


class Turns:
    """Keeps its own account of leases and submits, by the database's clock and by the gateway's."""

    def __init__(self, twins: Twins, excused: set[str]) -> None:
        self._clock = twins.clock
        self._gateway = twins.gateway
        self._excused = excused
        self._leases: dict[str, Lease] = {}
        self._at_work: dict[str, float] = {}

    def claimed(self, claimed: Confirmation, lease_seconds: float) -> None:
        """Hold a claim against the lease of the one before."""
        receipt_id, now = claimed.receipt_id, self._clock.now()
        since, seconds = self._leases.get(receipt_id, (now, 0.0))
        left = seconds - (now - since).total_seconds()
        # The first claim of a row that another document took over: the lease was on the old one.
        if left > 0 and claimed.attempts > 1:
            raise PromiseBroken("claimed while another's lease runs", f"for {left} s more")
        self.leased(receipt_id, lease_seconds)

    def leased(self, receipt_id: str, lease_seconds: float | None) -> None:
        """Know how long the lease runs from now; None: it is over."""
        if lease_seconds is None:
            self._leases.pop(receipt_id, None)
        else:
            self._leases[receipt_id] = (self._clock.now(), lease_seconds)

    def submitted(self, receipt_id: str, at_least_until: float) -> None:
        """Hold a submit against the one before, which is at work until the gateway shows what it did."""
        receipt = self._gateway.receipts.get(receipt_id)
        if self._clock.tick() < self._at_work.get(receipt_id, 0) and receipt_id not in self._excused:
            raise PromiseBroken("two submits are at work at once")
        hidden_until = receipt.shows_until if receipt and receipt.shows is not None else 0
        self._at_work[receipt_id] = max(at_least_until, hidden_until)
