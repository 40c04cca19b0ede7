"""What really happened: every charge and cancel, and how often each call was made. Tests judge a worker by it."""

from collections import Counter, defaultdict
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

from sandbox.gateway.money import number


class Call(StrEnum):
    """A kind of call at the gateway, the same in both versions."""

    TOKEN = "token"  # noqa: S105 - the name of a call
    RECEIPT = "receipt"
    APPROVE = "approve"
    CANCEL = "cancel"
    LOOKUP = "lookup"


@dataclass(frozen=True)
class Move:
    """Money moved once: `kind` is charge or cancel; `via` is api (a merchant called) or control (a test said so)."""

    kind: str
    receipt_id: str
    order_id: str
    currency: str
    amount: Decimal
    at: str
    via: str


class Ledger:
    """Append-only record of moves and calls. It doesn't prevent a double charge: it shows one."""

    def __init__(self) -> None:
        self.moves: list[Move] = []
        self.calls: Counter[str] = Counter()
        self._moves_of: defaultdict[str, list[Move]] = defaultdict(list)
        self._calls_of: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._approvals_asked_at: defaultdict[str, list[str]] = defaultdict(list)

    def record(self, move: Move) -> None:
        """Write a move down."""
        self.moves.append(move)
        self._moves_of[move.receipt_id].append(move)

    def count(self, call: Call) -> None:
        """Count a call that arrived, whatever became of it."""
        self.calls[call] += 1

    def count_for(self, receipt_id: str, call: Call, at: str) -> None:
        """Count a call under the receipt that it asked about."""
        self._calls_of[receipt_id][call] += 1
        if call is Call.APPROVE:
            self._approvals_asked_at[receipt_id].append(at)

    def was_charged(self, receipt_id: str) -> bool:
        """Say whether a charge stands under this receipt."""
        return any(move.kind == "charge" for move in self._moves_of.get(receipt_id, ()))

    def account(self, receipt_id: str) -> dict[str, Any]:
        """Sum up one receipt: charges and cancels as counts and amounts, calls by kind."""
        moves = self._moves_of.get(receipt_id, [])
        summed = _summed(moves)
        calls = self._calls_of.get(receipt_id, Counter())
        return {
            **{name: summed[name] for name in ("charges", "cancels")},
            **{name: sum(summed[name].values()) for name in ("charged", "cancelled")},
            "calls": _calls(calls),
        }

    def history(self, receipt_id: str) -> dict[str, Any]:
        """List one receipt's moves in order, and when its approvals were asked for."""
        moves = self._moves_of.get(receipt_id, [])
        told = [{"kind": m.kind, "amount": number(m.amount), "at": m.at, "via": m.via} for m in moves]
        return {"moves": told, "approvals_asked_at": self._approvals_asked_at.get(receipt_id, [])}

    def totals(self) -> dict[str, Any]:
        """Sum up everything; `charged_twice` names the receipts that no gateway should ever have."""
        charges = Counter(move.receipt_id for move in self.moves if move.kind == "charge")
        twice = sorted(receipt_id for receipt_id, times in charges.items() if times > 1)
        return {**_summed(self.moves), "calls": _calls(self.calls), "charged_twice": twice}

    def orders(self) -> dict[str, dict[str, Any]]:
        """Sum up by order: an order with two receipts charged shows two charges."""
        moves: defaultdict[str, list[Move]] = defaultdict(list)
        for move in self.moves:
            moves[move.order_id].append(move)
        return {order_id: _summed(moves_of_order) for order_id, moves_of_order in moves.items()}


def _summed(moves: list[Move]) -> dict[str, Any]:
    charged: defaultdict[str, Decimal] = defaultdict(Decimal)
    cancelled: defaultdict[str, Decimal] = defaultdict(Decimal)
    for move in moves:
        (charged if move.kind == "charge" else cancelled)[move.currency] += move.amount
    charges = sum(move.kind == "charge" for move in moves)
    return {
        "charges": charges,
        "charged": {currency: number(amount) for currency, amount in charged.items()},
        "cancels": len(moves) - charges,
        "cancelled": {currency: number(amount) for currency, amount in cancelled.items()},
    }


def _calls(counted: Counter[str]) -> dict[str, int]:
    return {call.value: counted[call] for call in Call}
