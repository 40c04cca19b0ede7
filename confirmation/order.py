"""What a service asks for: one receipt, one order, one amount."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Self

#: Digits behind the point: the won has none, the dollar two.
EXPONENTS = {"KRW": 0, "USD": 2}


@dataclass(frozen=True)
class Money:
    """An amount in the currency's smallest unit (won, cents). Never a float."""

    minor: int
    currency: str

    @classmethod
    def of(cls, amount: int | str | Decimal, currency: str) -> Self:
        """Read an amount in whole units. Raises `ValueError` for a fraction below the smallest unit."""
        scaled = Decimal(amount).scaleb(EXPONENTS[currency])
        minor = int(scaled)
        if minor != scaled:
            raise ValueError(f"{currency} has {EXPONENTS[currency]} decimals")
        return cls(minor, currency)

    def as_document(self) -> int | str:
        """The amount as the order document writes it: `3000` for won, `"10.50"` for dollars."""
        exponent = EXPONENTS[self.currency]
        if exponent == 0:
            return self.minor
        return str(Decimal(self.minor).scaleb(-exponent))


@dataclass(frozen=True)
class Order:
    """One receipt and what it is to pay for. Lines of one SKU are already added up."""

    receipt_id: str
    order_id: str
    amount: Money
    items: Mapping[str, int] = field(default_factory=dict)
    callback_url: str | None = None
    metadata: Mapping[str, object] = field(default_factory=dict)

    def same_as(self, other: "Order") -> bool:
        """Whether both ask for the same job: the same answer, and no second charge."""
        return not self.differences(other)

    def differences(self, other: "Order") -> list[str]:
        """Name the fields that make the other a different document; the callback's address and the metadata don't."""
        mine, others = self._job(), other._job()  # noqa: SLF001 — one of us
        return [name for name in mine if mine[name] != others[name]]

    def _job(self) -> dict[str, object]:
        return {
            "receipt_id": self.receipt_id,
            "order_id": self.order_id,
            "amount": self.amount.minor,
            "currency": self.amount.currency,
            "items": dict(self.items),
        }

    def as_document(self) -> dict[str, object]:
        """The order document, defaults filled in."""
        return {
            "receipt_id": self.receipt_id,
            "order_id": self.order_id,
            "amount": self.amount.as_document(),
            "currency": self.amount.currency,
            "items": [{"sku": sku, "quantity": quantity} for sku, quantity in sorted(self.items.items())],
            "callback_url": self.callback_url,
            "metadata": dict(self.metadata),
        }


def add_up(lines: list[tuple[str, int]]) -> dict[str, int]:
    """Add up the lines of each SKU, in SKU order, the order in which stock rows are locked."""
    total: dict[str, int] = {}
    for sku, quantity in sorted(lines):
        total[sku] = total.get(sku, 0) + quantity
    return total
