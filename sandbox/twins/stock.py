"""The stock and who holds it, as the real tables and their CHECKs keep it."""

from collections.abc import Mapping
from dataclasses import dataclass

from confirmation.decisions import Refusal
from confirmation.ports import Stock


class CheckViolated(AssertionError):
    """A statement broke a constraint that the database has, too. Never raised while the rules are right."""


@dataclass
class Count:
    """One SKU. available + held + sold is always what people have put in."""

    available: int = 0
    held: int = 0
    sold: int = 0


@dataclass
class Reservation:
    """What one receipt took, and whether it still holds it, has bought it or gave it back."""

    items: Mapping[str, int]
    state: str = "held"


class TwinStock:
    """Counts by SKU and reservations by receipt."""

    def __init__(self) -> None:
        self.counts: dict[str, Count] = {}
        self.reservations: dict[str, Reservation] = {}

    def put(self, sku: str, available: int) -> None:
        """Make so many available."""
        self.counts.setdefault(sku, Count()).available = available

    def refusal(self, items: Mapping[str, int]) -> Refusal | None:
        """Say why these can't all be taken, if they can't."""
        if not items.keys() <= self.counts.keys():
            return Refusal.UNKNOWN_SKU
        short = any(self.counts[sku].available < quantity for sku, quantity in items.items())
        return Refusal.OUT_OF_STOCK if short else None

    def take(self, receipt_id: str, items: Mapping[str, int]) -> None:
        """Take every item."""
        if receipt_id in self.reservations:
            raise CheckViolated(f"{receipt_id} has taken its items once already")
        self.reservations[receipt_id] = Reservation(items)
        for sku, quantity in items.items():
            self._move(sku, available=-quantity, held=quantity)

    def settle(self, receipt_id: str, stock: Stock) -> None:
        """Sell or give back what the receipt holds; where it holds nothing, nothing happens."""
        if stock is Stock.KEEP or not self.held(receipt_id):
            return
        reservation = self.reservations[receipt_id]
        reservation.state = "sold" if stock is Stock.SELL else "released"
        for sku, quantity in reservation.items.items():
            sold = quantity if stock is Stock.SELL else 0
            self._move(sku, held=-quantity, sold=sold, available=quantity - sold)

    def give_back(self, receipt_id: str, *, sold: bool) -> None:
        """Give back what the receipt holds, and what it has bought if that is wanted, too."""
        if not (self.held(receipt_id) or (sold and self.state(receipt_id) == "sold")):
            return
        reservation = self.reservations[receipt_id]
        for sku, quantity in reservation.items.items():
            self._move(sku, available=quantity, **{reservation.state: -quantity})
        reservation.state = "released"

    def make_room(self, receipt_id: str) -> None:
        """Let what the receipt gave back be taken anew."""
        if self.state(receipt_id) == "released":
            del self.reservations[receipt_id]

    def sold(self, receipt_id: str) -> frozenset[str]:
        """Give the items that it has bought and that never came back."""
        sold = self.state(receipt_id) == "sold"
        return frozenset(self.reservations[receipt_id].items) if sold else frozenset()

    def held(self, receipt_id: str) -> bool:
        """Say whether the receipt holds its items, undecided."""
        return self.state(receipt_id) == "held"

    def state(self, receipt_id: str) -> str | None:
        """Say what became of the receipt's items; None where it never took any."""
        reservation = self.reservations.get(receipt_id)
        return reservation.state if reservation else None

    def _move(self, sku: str, *, available: int = 0, held: int = 0, sold: int = 0) -> None:
        count = self.counts[sku]
        count.available += available
        count.held += held
        count.sold += sold
        self._check(sku, count)

    def _check(self, sku: str, count: Count) -> None:
        if min(count.available, count.held, count.sold) < 0:
            raise CheckViolated(f"stock below zero: {sku} {count}")
