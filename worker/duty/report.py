"""What the audit found: as data, and as tables that a stranger understands."""

from dataclasses import dataclass, field
from typing import Any

from rich.console import Console

from confirmation.events import timestamp
from confirmation.order import Money
from worker.duty.checks import CHECKS, Finding
from worker.duty.showing import ID_WIDTH, moment, money, printable, table
from worker.store.auditing import Row

#: Of each check, and of what is in review, so many are listed; all are counted.
MOST_LISTED = 1000

#: The name of what the comparison with the gateway finds, and its promise.
GATEWAY = "gateway"
GATEWAY_PROMISE = "the gateway says of every receipt what its row says"


class Findings:
    """What doesn't add up; however much that is, only so much of it is kept."""

    def __init__(self) -> None:
        self.listed: list[Finding] = []
        self.counts: dict[str, int] = {}

    def add(self, finding: Finding) -> None:
        """Count it, and keep it while the list is short."""
        self.counts[finding.check] = self.counts.get(finding.check, 0) + 1
        if self.counts[finding.check] <= MOST_LISTED:
            self.listed.append(finding)

    def __len__(self) -> int:
        return sum(self.counts.values())

    def as_data(self) -> list[dict[str, Any]]:
        """As JSON has it. What isn't listed is said to be there."""
        more = {check: count - MOST_LISTED for check, count in self.counts.items() if count > MOST_LISTED}
        unlisted = [{"check": check, "message": f"and {count} more"} for check, count in more.items()]
        return [finding.as_data() for finding in self.listed] + unlisted


@dataclass
class Report:
    """One audit. `open` is what the gateway says of receipts that are still on their way."""

    by_state: dict[str, int]
    waiting: dict[str, int]
    review: list[Row]
    #: By currency, in the smallest unit: what is confirmed here, and with the gateway asked, what is paid there.
    money: dict[str, dict[str, int]]
    findings: Findings = field(default_factory=Findings)
    #: Confirmed here, cancelled at the gateway, and told as `payconfirm.drift`.
    drifted: list[Row] = field(default_factory=list)
    open: list[dict[str, str]] | None = None
    #: Ended by a person's word, while the gateway said what it says still.
    by_people: list[dict[str, str]] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether all adds up. What is in review, has drifted, or waits, is no fault of the books."""
        return not len(self.findings)

    @property
    def receipts(self) -> int:
        """How many rows there are."""
        return sum(self.by_state.values())

    def as_data(self) -> dict[str, Any]:
        """As JSON has it."""
        asked = {} if self.open is None else {"open": self.open, "by_people": self.by_people}
        return {
            "ok": self.ok,
            "receipts": self.receipts,
            "by_state": self.by_state,
            "findings": self.findings.as_data(),
            "review": [_review(row) for row in self.review],
            "drift": [_drift(row) for row in self.drifted],
            "money": _money(self.money),
            "waiting": self.waiting,
            **asked,
        }

    def show(self, out: Console) -> None:
        """Tell a person, the verdict last."""
        self._show_counts(out)
        self._show_checks(out)
        _show_findings(self.findings, out)
        _show_review(self.review, self.by_state.get("review", 0), out)
        _show_drift(self.drifted, out)
        _show_open(self.open, out)
        _show_by_people(self.by_people, out)
        count = len(self.findings)
        wrong = "1 thing doesn't add up" if count == 1 else f"{count:,} things don't add up"
        out.print("all adds up" if self.ok else wrong, style="bold green" if self.ok else "bold red")

    def _show_counts(self, out: Console) -> None:
        states = ", ".join(f"{count:,} {state}" for state, count in sorted(self.by_state.items()))
        out.print(f"{self.receipts:,} receipt{'' if self.receipts == 1 else 's'}" + (f": {states}" if states else ""))
        for currency, sums in self.money.items():
            out.print(
                ", ".join(f"{name.replace('_', ' ')} {money(Money(minor, currency))}" for name, minor in sums.items())
            )
        waiting = [f"{count:,} {name.replace('_', ' ')}" for name, count in self.waiting.items() if count]
        if waiting:
            out.print("waiting for more than a minute, or for people: " + ", ".join(waiting))
        out.print()

    def _show_checks(self, out: Console) -> None:
        lines = table("check", "what must be true", "")
        promises = {check.name: check.promise for check in CHECKS}
        if self.open is not None:
            promises[GATEWAY] = GATEWAY_PROMISE
        for name, promise in promises.items():
            count = self.findings.counts.get(name, 0)
            lines.add_row(name, promise, f"{count:,} wrong" if count else "ok", style="red" if count else None)
        out.print(lines)
        out.print()


def _review(row: Row) -> dict[str, Any]:
    return {
        "receipt_id": row["receipt_id"],
        "order_id": row["order_id"],
        "reason": row["reason"],
        "from": row["review_from"],
        "message": row["message"],
        "since": timestamp(row["state_since"]),
    }


def _drift(row: Row) -> dict[str, Any]:
    return {
        "receipt_id": row["receipt_id"],
        "order_id": row["order_id"],
        "gateway": row["seen"],
        "told": timestamp(row["at"]),
    }


def _money(sums: dict[str, dict[str, int]]) -> dict[str, dict[str, int | str]]:
    """Amounts as documents write them."""
    return {
        currency: {name: Money(minor, currency).as_document() for name, minor in each.items()}
        for currency, each in sums.items()
    }


def _show_findings(findings: Findings, out: Console) -> None:
    if not findings.listed:
        return
    lines = table("receipt or SKU", "check", "what doesn't add up", first_width=ID_WIDTH)
    for finding in findings.as_data():
        subject = finding.get("receipt_id") or finding.get("sku") or ""
        lines.add_row(*map(printable, (subject, finding["check"], finding["message"])))
    out.print(lines)
    out.print()


def _show_review(review: list[Row], count: int, out: Console) -> None:
    if not review:
        return
    lines = table("in review", "order", "amount", "since (UTC)", "from", "reason", "message", first_width=ID_WIDTH)
    for row in review:
        amount = money(Money(row["amount"], row["currency"]))
        named = (row["receipt_id"], row["order_id"], amount, moment(row["state_since"]))
        lines.add_row(*map(printable, (*named, row["review_from"], row["reason"], row["message"])))
    out.print(lines)
    if count > len(review):
        out.print(f"and {count - len(review):,} more")
    out.print()


def _show_drift(drifted: list[Row], out: Console) -> None:
    if not drifted:
        return
    lines = table("confirmed, but", "order", "amount", "told (UTC)", "the gateway says", first_width=ID_WIDTH)
    for row in drifted:
        amount = money(Money(row["amount"], row["currency"]))
        lines.add_row(
            *map(printable, (row["receipt_id"], row["order_id"], amount, moment(row["at"]), row["seen"] or ""))
        )
    out.print(lines)
    out.print()


def _show_open(receipts: list[dict[str, str]] | None, out: Console) -> None:
    if not receipts:
        return
    lines = table("still open", "state", "the gateway says", first_width=ID_WIDTH)
    for receipt in receipts:
        lines.add_row(*map(printable, (receipt["receipt_id"], receipt["state"], receipt["gateway"])))
    out.print(lines)
    out.print()


def _show_by_people(receipts: list[dict[str, str]], out: Console) -> None:
    if not receipts:
        return
    lines = table("decided by people", "as", "the gateway says", "", first_width=ID_WIDTH)
    for receipt in receipts:
        lines.add_row(*map(printable, (receipt["receipt_id"], receipt["state"], receipt["gateway"], receipt["by"])))
    out.print(lines)
    out.print()
