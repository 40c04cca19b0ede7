"""The comparison with the gateway: what each row says, and what the gateway says of its receipt."""

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from confirmation.answers import Answer, GatewayReceipt, Seen, see, words
from confirmation.confirmation import Confirmation
from confirmation.operators import DECIDES
from confirmation.ports import Gateway
from confirmation.states import State
from worker.duty.checks import Finding
from worker.duty.report import GATEWAY, MOST_LISTED
from worker.store.auditing import Receipts

#: Quick enough for a night, and no load that a gateway, or the workers beside us, would feel.
THREADS = 8
#: Receipts are read and compared so many at a time.
PAGE = 200

#: The gateway has money of this order: what can be seen there with all of it, or a part, not given back.
_HAS_MONEY = {Seen.PAID, Seen.PAID_OTHER_AMOUNT, Seen.PARTLY_CANCELLED, Seen.CANCEL_FAILED}
#: The gateway itself isn't done with it.
_ON_ITS_WAY = {Seen.IN_FLIGHT, Seen.IN_FLIGHT_OTHER_AMOUNT, Seen.CANCEL_UNDER_WAY}

#: Of a confirmed receipt: the worker that looks at it tells `payconfirm.drift`, once.
_DRIFT = {Seen.CANCELLED, Seen.PARTLY_CANCELLED}


@dataclass(frozen=True)
class Compared:
    """One receipt, as its row and the gateway have it."""

    confirmation: Confirmation
    answer: Answer
    seen: Seen
    #: What doesn't fit; empty where all does.
    difference: str = ""
    #: Whether it is still on its way, here or there.
    open: bool = False
    #: What the gateway has of the buyer's money for it, in the smallest unit of its own currency.
    paid: int = 0
    #: Who said so against it, where the gateway says no more than it said then.
    by: str = ""

    @property
    def heard(self) -> str:
        """What the gateway says, in words."""
        return words(self.answer, self.seen)


@dataclass(frozen=True)
class Page:
    """Some receipts, compared."""

    receipts: int
    findings: list[Finding]


@dataclass
class Reconciliation:
    """Walks through all receipts. `money`, `open` and `by_people` fill up on the way."""

    gateway: Gateway
    receipts: Receipts
    money: dict[str, dict[str, int]] = field(default_factory=dict)
    open: list[dict[str, str]] = field(default_factory=list)
    by_people: list[dict[str, str]] = field(default_factory=list)

    def pages(self) -> Iterator[Page]:
        """Compare page by page; stop where the gateway has no word for a whole one."""
        after = ""
        with ThreadPoolExecutor(THREADS) as pool:
            while page := self.receipts.page(after, PAGE):
                after = page[-1].receipt_id
                compared = list(pool.map(self.compare, page))
                silent = len(page) == PAGE and all(each.seen is Seen.NO_WORD for each in compared)
                yield Page(len(page), self._take(compared) + ([_stopped(after)] if silent else []))
                if silent:
                    return

    def compare(self, confirmation: Confirmation) -> Compared:
        """Compare one receipt. A difference counts when it is still there at a second look at both."""
        first = self._look(confirmation)
        if not first.difference:
            return first
        return self._look(self.receipts.one(confirmation.receipt_id))

    def _look(self, confirmation: Confirmation) -> Compared:
        answer = self.gateway.look_up(confirmation.receipt_id, start_by=math.inf)
        compared = judge(confirmation, answer)
        gone = confirmation.state is State.VOIDED and compared.seen is Seen.PAID
        if gone and self.receipts.already_cancelled(confirmation.receipt_id):
            # Cancelled in the payment company's own console: v1's receipt stays at "paid" for ever.
            return Compared(confirmation, answer, compared.seen)
        if compared.difference and compared.seen not in DECIDES | {Seen.NO_WORD}:
            by = self.receipts.said_by_people(confirmation.receipt_id, confirmation.state, compared.heard)
            return replace(compared, by=by, difference="") if by else compared
        return compared

    def _take(self, compared: list[Compared]) -> list[Finding]:
        for each in compared:
            if each.confirmation.state is State.CONFIRMED and each.seen in _DRIFT:
                self.receipts.ask(each.confirmation.receipt_id)
            self._add_up(each)
            if each.by and len(self.by_people) < MOST_LISTED:
                state, receipt_id = each.confirmation.state.value, each.confirmation.receipt_id
                said = {"receipt_id": receipt_id, "state": state, "gateway": each.heard, "by": each.by}
                self.by_people.append(said)
            if each.open and len(self.open) < MOST_LISTED:
                state, receipt_id = each.confirmation.state.value, each.confirmation.receipt_id
                self.open.append({"receipt_id": receipt_id, "state": state, "gateway": each.heard})
        return [Finding(GATEWAY, each.difference, each.confirmation.receipt_id) for each in compared if each.difference]

    def _add_up(self, each: Compared) -> None:
        ours = each.confirmation.order.amount
        if each.confirmation.state is State.CONFIRMED:
            self._sums(ours.currency)["confirmed"] += ours.minor
        if each.paid and isinstance(each.answer, GatewayReceipt) and each.answer.amount:
            self._sums(each.answer.amount.currency)["paid_at_gateway"] += each.paid

    def _sums(self, currency: str) -> dict[str, int]:
        return self.money.setdefault(currency, {"confirmed": 0, "paid_at_gateway": 0})


def judge(confirmation: Confirmation, answer: Answer) -> Compared:
    """Say whether what the gateway says fits what the row says."""
    seen = see(answer, confirmation.order)
    state = confirmation.state
    is_open = not state.final or (state is State.REJECTED and seen in _ON_ITS_WAY)
    paid = _paid(answer) if seen in _HAS_MONEY else 0
    return Compared(confirmation, answer, seen, _difference(state, seen, words(answer, seen)), is_open, paid)


def _difference(state: State, seen: Seen, heard: str) -> str:
    if seen is Seen.NO_WORD:
        return f"{state}, and the gateway gave no word"
    fits = {
        State.CONFIRMED: seen is Seen.PAID,
        State.REJECTED: seen not in _HAS_MONEY and seen is not Seen.UNDOCUMENTED,
        State.VOIDED: seen is Seen.CANCELLED,
    }
    return "" if fits.get(state, True) else f"{state} here, but the gateway says: {heard}"


def _paid(answer: Answer) -> int:
    if not isinstance(answer, GatewayReceipt) or answer.amount is None:
        return 0
    return answer.amount.minor - answer.cancelled


def _stopped(after: str) -> Finding:
    message = f"stopped after {after}: the gateway gave no word about {PAGE} receipts in a row"
    return Finding(GATEWAY, message)
