"""What can be made to go wrong: one table, and the scripts that tests have set. They take effect in `calls.answer`."""

from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import Enum, auto
from typing import Any

from sandbox.gateway import statuses, wire
from sandbox.gateway.ledger import Call
from sandbox.gateway.money import STEPS, number
from sandbox.gateway.receipts import Receipt
from sandbox.gateway.refusals import Refused

#: The script that lasts until it is cleared.
UNTIL_CLEARED = 0


class Verdict(Enum):
    """What the payment company behind the gateway does with an approval or a cancel."""

    DO_IT = auto()
    DECLINE = auto()
    DECLINE_STAYS_READY = auto()
    #: Nothing more is heard of the approval: it stays in flight.
    FALL_SILENT = auto()
    #: The approval isn't made, and yet the answer is a 200.
    PRETEND = auto()
    REFUSE_CANCEL = auto()
    #: The cancel is taken but not finished.
    CANCEL_LINGERS = auto()


@dataclass
class Script:
    """One fault that a test has asked for, and how often it is still due."""

    name: str
    call: Call
    receipt_id: str | None = None
    times: int = 1
    seconds: float = 0.0
    acts: bool = True
    status: int | None = None
    amount: Decimal | None = None

    @property
    def fault(self) -> "Fault":
        """The row of the table."""
        return FAULTS[self.name]

    @property
    def seconds_in_flight(self) -> float:
        """How much longer than usual the receipt stays in flight."""
        return self.seconds if self.fault.in_flight else 0.0

    def told(self) -> dict[str, Any]:
        """Tell it in the control API's words."""
        amount = None if self.amount is None else number(self.amount)
        told = {"receipt_id": self.receipt_id, "call": self.call, "fault": self.name, "times": self.times}
        return {**told, "seconds": self.seconds, "acts": self.acts, "status": self.status, "amount": amount}


Disguise = Callable[[Receipt, Script], Receipt]


def _as_it_is(receipt: Receipt, _script: Script) -> Receipt:
    return receipt


def _with_status(receipt: Receipt, script: Script) -> Receipt:
    return replace(receipt, shown_status=statuses.READY if script.status is None else script.status)


def _with_amount(receipt: Receipt, script: Script) -> Receipt:
    wrong = receipt.price + STEPS[receipt.currency] if script.amount is None else script.amount
    return replace(receipt, price=wrong)


def _unknown(call: Call) -> Refused:
    outcomes = {Call.APPROVE: Refused.APPROVAL_UNKNOWN, Call.CANCEL: Refused.CANCEL_UNKNOWN}
    return outcomes.get(call, Refused.BROKEN)


ALL = frozenset(Call)
APPROVE = frozenset({Call.APPROVE})
CANCEL = frozenset({Call.CANCEL})
SHOWING = ALL - {Call.TOKEN}


@dataclass(frozen=True)
class Fault:
    """One row: for which calls, whether the call still takes effect, and what becomes of its answer."""

    calls: frozenset[Call]
    #: Whether an approval or cancel takes effect; a script may say otherwise where `either`.
    acts: bool = True
    either: bool = False
    verdict: Verdict = Verdict.DO_IT
    #: The receipt as the answer shows it.
    disguise: Disguise = _as_it_is
    #: The refusal that is told whatever happened.
    instead: Callable[[Call], Refused] | None = None
    send: wire.Send = wire.plainly
    #: What `seconds` is when the script doesn't say.
    seconds: float = 0.0
    #: `seconds` is how long the receipt stays in flight, on top of the usual.
    in_flight: bool = False


FAULTS = {
    "none": Fault(frozenset()),
    "decline": Fault(APPROVE, verdict=Verdict.DECLINE),
    "decline_stays_ready": Fault(APPROVE, verdict=Verdict.DECLINE_STAYS_READY),
    "stuck_in_flight": Fault(APPROVE, verdict=Verdict.FALL_SILENT),
    "slow_approval": Fault(APPROVE, in_flight=True, seconds=5),
    "not_paid_200": Fault(APPROVE, verdict=Verdict.PRETEND, disguise=_with_status),
    "cancel_refused": Fault(CANCEL, verdict=Verdict.REFUSE_CANCEL),
    "cancel_in_progress": Fault(CANCEL, verdict=Verdict.CANCEL_LINGERS),
    "already_cancelled": Fault(CANCEL, acts=False, instead=lambda _call: Refused.ALREADY_CANCELLED),
    "status": Fault(SHOWING, disguise=_with_status),
    "wrong_amount": Fault(SHOWING, disguise=_with_amount),
    "lost_answer": Fault(ALL, send=wire.never),
    "no_answer": Fault(ALL, acts=False, send=wire.never),
    "hang": Fault(ALL, either=True, send=wire.late, seconds=30),
    "drip": Fault(ALL, either=True, send=wire.in_drops, seconds=1),
    "half_json": Fault(ALL, either=True, send=wire.halved),
    "not_json": Fault(ALL, either=True, send=wire.as_prose),
    "huge_body": Fault(ALL, either=True, send=wire.padded),
    "not_found": Fault(SHOWING, acts=False, instead=lambda _call: Refused.NOT_FOUND),
    "http_500": Fault(ALL, acts=False, either=True, instead=_unknown),
    "http_502_html": Fault(ALL, acts=False, either=True, send=wire.as_html),
    "http_401": Fault(ALL, acts=False, instead=lambda _call: Refused.TOKEN_INVALID),
    "http_429": Fault(ALL, acts=False, instead=lambda _call: Refused.TOO_FAST, send=wire.with_retry_after, seconds=1),
}

NO_SCRIPT = Script("none", Call.TOKEN)


class Faults:
    """The scripts that are due, first come first served; one for this receipt goes before one for any."""

    def __init__(self) -> None:
        self._due: defaultdict[tuple[Call, str | None], deque[Script]] = defaultdict(deque)

    def add(self, script: Script) -> None:
        """Let a script wait for its call."""
        self._due[script.call, script.receipt_id].append(script)

    def take(self, call: Call, receipt_ids: Iterable[str]) -> Script:
        """Return the script for this call, used up by one, or the one that changes nothing."""
        if not self._due:
            return NO_SCRIPT
        for receipt_id in (*receipt_ids, None):
            due = self._due.get((call, receipt_id))
            if due:
                return self._use(due)
        return NO_SCRIPT

    def clear(self, receipt_id: str | None = None) -> int:
        """Forget all scripts, or those of one receipt; return how many."""
        gone = [key for key in self._due if receipt_id in (None, key[1])]
        return sum(len(self._due.pop(key)) for key in gone)

    def told(self) -> list[dict[str, Any]]:
        """List what is still due."""
        return [script.told() for due in self._due.values() for script in due]

    def _use(self, due: deque[Script]) -> Script:
        script = due[0]
        if script.times == UNTIL_CLEARED:
            return script
        script.times -= 1
        if script.times == 0:
            due.popleft()
            self._due = defaultdict(deque, {key: scripts for key, scripts in self._due.items() if scripts})
        return script
