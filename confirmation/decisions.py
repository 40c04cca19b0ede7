"""The decision table: what the gateway's receipt says decides, never an error alone.

`TABLE` has a row for each thing that can be seen and a column for each state it can be seen in. Each cell is one of
the small functions above it, whose name says what happens. `decide` looks up the cell. Nothing here acts.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import NamedTuple

from confirmation import waits
from confirmation.answers import Seen
from confirmation.cases import Case
from confirmation.states import Reason, State

#: More than this many submits for one receipt is a case for people.
MOST_SUBMITS = 3


class Verb(StrEnum):
    """All that can be done about a receipt."""

    RESERVE = "reserve"
    RESERVE_PAID = "reserve, it is paid"
    SUBMIT = "submit"
    COMMIT = "commit"
    VOID = "void"
    CANCEL = "cancel"
    REJECT = "reject"
    SETTLE_VOID = "voided"
    REVIEW = "review"
    WAIT = "wait"
    END = "end"
    DRIFT = "drift"


@dataclass(frozen=True)
class Decision:
    """What to do, why, and where it must wait, how long."""

    verb: Verb
    reason: Reason | None = None
    #: Until the next look; None: no look is planned.
    wait: timedelta | None = None


Cell = Callable[[Case], Decision]


# Going on -----------------------------------------------------------------------------------------------------------


def reserve_and_submit(case: Case) -> Decision:
    """The way that goes well; past the deadline it is too late to submit."""
    return _reject(case, Reason.DEADLINE_EXCEEDED) if case.past_deadline else Decision(Verb.RESERVE)


def submit_again(case: Case) -> Decision:
    """A declined one ends. Another submit takes two looks that say the last one didn't take."""
    if case.confirmation.declined:
        return _reject(case, Reason.DECLINED)
    if not case.settled:
        # Sooner than that where it is long: the last submit may be seen to have taken.
        return Decision(Verb.WAIT, wait=min(case.until_settled, _before_deadline(case)))
    if case.past_deadline:
        return _reject(case, Reason.DEADLINE_EXCEEDED)
    if case.confirmation.submits >= MOST_SUBMITS:
        return Decision(Verb.REVIEW, Reason.GATEWAY_UNCLEAR, wait=waits.FIRST)
    return Decision(Verb.SUBMIT)


def reserve_and_commit(case: Case) -> Decision:
    """Paid before we were asked: reserve, and never submit; the next look commits it."""
    del case
    return Decision(Verb.RESERVE_PAID)


def commit(case: Case) -> Decision:
    """The money is there and the stock is held."""
    del case
    return Decision(Verb.COMMIT)


# The money goes back ------------------------------------------------------------------------------------------------


def void(case: Case) -> Decision:
    """Paid, and not deliverable as it is."""
    return Decision(Verb.VOID, case.reason)


def void_late(case: Case) -> Decision:
    """Rejected, and then found paid."""
    del case
    return Decision(Verb.VOID, Reason.LATE_APPROVAL)


def cancel(case: Case) -> Decision:
    """Cancel all that remains; after a day of trying, ask people."""
    if case.virtual_account:
        return _ask(Reason.VIRTUAL_ACCOUNT_REFUND)
    if case.now - case.confirmation.state_since >= waits.TRY_TO_CANCEL:
        return _ask(Reason.CANCEL_FAILED)
    return Decision(Verb.CANCEL)


def cancel_once_more(case: Case) -> Decision:
    """The gateway says that a cancel failed: once more, then ask people."""
    if case.virtual_account:
        return _ask(Reason.VIRTUAL_ACCOUNT_REFUND)
    return _ask(Reason.CANCEL_FAILED) if case.confirmation.looks > 1 else Decision(Verb.CANCEL)


def cancel_or_look_on(case: Case) -> Decision:
    """People were asked already; what a machine can do goes on."""
    return look_on(case) if case.virtual_account else Decision(Verb.CANCEL)


def voided(case: Case) -> Decision:
    """The money is back."""
    return Decision(Verb.SETTLE_VOID, case.confirmation.void_reason)


def nothing_taken(case: Case) -> Decision:
    """No money moved after all: it ends with the reason that led to voiding."""
    return _reject(case, case.confirmation.void_reason or case.reason)


def nothing_taken_after_two_looks(case: Case) -> Decision:
    """Still ready: a submit may yet be at work, so one look is not enough."""
    return nothing_taken(case) if case.settled else Decision(Verb.WAIT, wait=case.until_settled)


# No ----------------------------------------------------------------------------------------------------------------


def reject(case: Case) -> Decision:
    """What was seen is the reason."""
    return _reject(case, case.reason)


def reject_after_a_few_looks(case: Case) -> Decision:
    """The gateway may be a moment behind the buyer's browser."""
    if case.confirmation.looks > 1 and case.seen_for >= waits.APPEAR:
        return reject(case)
    wait = waits.backoff(case.confirmation.parks, case.jitter, longest=waits.SETTLE)
    return Decision(Verb.WAIT, wait=min(wait, max(waits.APPEAR - case.seen_for, timedelta())))


def reject_when_late(case: Case) -> Decision:
    """In review and still ready: two looks after the deadline say that nothing can be taken any more."""
    if not case.past_deadline:
        return look_on(case)
    if not case.settled:
        return Decision(Verb.WAIT, wait=case.until_settled)
    return _reject(case, Reason.DECLINED if case.confirmation.declined else Reason.DEADLINE_EXCEEDED)


# Not yet ------------------------------------------------------------------------------------------------------------


def park(case: Case) -> Decision:
    """Look again soon, with growing waits."""
    return Decision(Verb.WAIT, wait=_before_deadline(case))


def park_until_deadline(case: Case) -> Decision:
    """Look again; past the deadline ask people."""
    return review(case) if case.past_deadline else park(case)


def park_a_day(case: Case) -> Decision:
    """Money is to go back and can't yet: look again; after a day ask people."""
    if case.now - case.confirmation.state_since >= waits.TRY_TO_CANCEL:
        return _ask(Reason.GATEWAY_UNCLEAR)
    return Decision(Verb.WAIT, wait=waits.backoff(case.confirmation.parks, case.jitter))


def review(case: Case) -> Decision:
    """Ask people, and look on."""
    return _ask(case.reason)


def look_on(case: Case) -> Decision:
    """No clear word yet, and no deadline: with waits up to 10 minutes, for as long as it takes."""
    return Decision(Verb.WAIT, wait=waits.backoff(case.confirmation.parks, case.jitter))


def look_late(case: Case) -> Decision:
    """Rejected: a few more looks at set times, whatever webhooks bring between them; then only on webhooks."""
    later = waits.late_look(case.now - case.confirmation.state_since)
    return Decision(Verb.WAIT, wait=later) if later else end(case)


def look_late_again(case: Case) -> Decision:
    """No word is no look: again, until there is one."""
    return Decision(Verb.WAIT, wait=waits.late_look_again(case.now - case.confirmation.state_since))


def end(case: Case) -> Decision:
    """Rejected for good."""
    del case
    return Decision(Verb.END)


# Confirmed: nothing is changed by a machine ----------------------------------------------------------------------------


def stay(case: Case) -> Decision:
    """It has ended well, and a look that was asked for changes nothing."""
    del case
    return Decision(Verb.END)


def tell_drift(case: Case) -> Decision:
    """Somebody has cancelled it at the gateway: told once for each change, however often that one is seen."""
    return stay(case) if case.confirmation.looks > 1 else Decision(Verb.DRIFT)


# In review the cell may depend on where it came from ------------------------------------------------------------------


def by_origin(*, received: Cell, submitting: Cell, voiding: Cell) -> Cell:
    """In review, the cell of the state that it came from."""
    cells = {State.RECEIVED: received, State.SUBMITTING: submitting, State.VOIDING: voiding}
    return lambda case: cells[case.confirmation.origin](case)


def unless_voiding(cell: Cell, voiding: Cell) -> Cell:
    """The cell for R and S, and the one for V."""
    return by_origin(received=cell, submitting=cell, voiding=voiding)


class Row(NamedTuple):
    """What to do when one thing is seen, by the state it is seen in."""

    received: Cell
    submitting: Cell
    voiding: Cell
    review: Cell
    rejected: Cell
    confirmed: Cell


late_or_nothing_taken = unless_voiding(reject_when_late, nothing_taken_after_two_looks)
paid_in_review = by_origin(received=reserve_and_commit, submitting=commit, voiding=cancel_or_look_on)
void_or_cancel = unless_voiding(void, cancel_or_look_on)
reject_or_nothing_taken = unless_voiding(reject, nothing_taken)
reject_or_voided = unless_voiding(reject, voided)

# fmt: off
TABLE = {
    # seen                           in received               in submitting        in voiding                     in review                rejected, late look   confirmed
    Seen.READY:                  Row(reserve_and_submit,       submit_again,        nothing_taken_after_two_looks, late_or_nothing_taken,   look_late,           stay),
    Seen.READY_OTHER_AMOUNT:     Row(reject,                   review,              park_a_day,                    look_on,                 look_late,           stay),
    Seen.IN_FLIGHT_OTHER_AMOUNT: Row(park_until_deadline,      review,              park_a_day,                    look_on,                 look_late,           stay),
    Seen.PAID:                   Row(reserve_and_commit,       commit,              cancel,                        paid_in_review,          void_late,           stay),
    Seen.PAID_OTHER_AMOUNT:      Row(void,                     void,                cancel,                        void_or_cancel,          void_late,           stay),
    Seen.PARTLY_CANCELLED:       Row(review,                   review,              cancel,                        look_on,                 void_late,           tell_drift),
    Seen.IN_FLIGHT:              Row(park_until_deadline,      park_until_deadline, park_a_day,                    look_on,                 look_late,           stay),
    Seen.FAILED:                 Row(reject,                   reject,              nothing_taken,                 reject_or_nothing_taken, end,                 stay),
    Seen.CANCELLED:              Row(reject,                   reject,              voided,                        reject_or_voided,        end,                 tell_drift),
    Seen.CANCEL_UNDER_WAY:       Row(park,                     park,                park_a_day,                    look_on,                 look_late,           look_on),
    Seen.CANCEL_FAILED:          Row(review,                   review,              cancel_once_more,              look_on,                 void_late,           stay),
    Seen.NOT_THERE:              Row(reject_after_a_few_looks, park_until_deadline, review,                        look_on,                 look_late,           stay),
    Seen.AWAITING_DEPOSIT:       Row(reject,                   review,              review,                        look_on,                 look_late,           stay),
    Seen.NOT_A_PAYMENT:          Row(reject,                   review,              review,                        look_on,                 end,                 stay),
    Seen.OTHER_ORDER:            Row(reject,                   review,              review,                        look_on,                 end,                 stay),
    Seen.UNDOCUMENTED:           Row(review,                   review,              review,                        look_on,                 look_late,           stay),
    Seen.NO_WORD:                Row(park_until_deadline,      park_until_deadline, park_a_day,                    look_on,                 look_late_again,     look_on),
}
# fmt: on


def decide(case: Case) -> Decision:
    """Say what to do about a receipt that was seen like this, in the state it is in."""
    cell: Cell = getattr(TABLE[case.seen], case.confirmation.state.value)
    return cell(case)


class Refusal(StrEnum):
    """Why a reservation was refused; nothing was changed."""

    OUT_OF_STOCK = "out_of_stock"
    UNKNOWN_SKU = "unknown_sku"
    REFUSED_BY_HOOK = "refused_by_hook"
    #: Another receipt of this order is confirmed.
    ORDER_PAID = "order_already_paid"
    #: Another receipt of this order is still undecided.
    ORDER_UNDECIDED = "order_undecided"


def decide_refused(case: Case, refusal: Refusal) -> Decision:
    """Say what becomes of a receipt that can't be delivered: no money moves, or it goes back."""
    paid = case.seen is Seen.PAID
    if refusal is not Refusal.ORDER_UNDECIDED:
        return Decision(Verb.VOID, Reason(refusal)) if paid else _reject(case, Reason(refusal))
    if case.confirmation.state is State.REVIEW:
        return look_on(case)
    if not case.past_deadline:
        return park(case)
    return _ask(Reason.ORDER_UNDECIDED) if paid else _reject(case, Reason.DEADLINE_EXCEEDED)


#: The shop's own hook failed: as a gateway without a word, but for money that is back already, which no day is needed for.
HOOK_FAILED = TABLE[Seen.NO_WORD]._replace(voiding=park_until_deadline)


def decide_hook_failed(case: Case) -> Decision:
    """Say what becomes of a receipt whose commit the shop's own hook couldn't be part of."""
    cell: Cell = getattr(HOOK_FAILED, case.confirmation.state.value)
    return replace(cell(case), reason=Reason.HOOK_FAILED)


def _reject(case: Case, reason: Reason) -> Decision:
    """Reject, and plan the first late look unless what was seen is an end."""
    ends = TABLE[case.seen].rejected is end
    return Decision(Verb.REJECT, reason, wait=None if ends else waits.LATE_LOOKS[0])


def _before_deadline(case: Case) -> timedelta:
    confirmation = case.confirmation
    deadline = confirmation.created_at + case.deadline
    return waits.before_deadline(confirmation.parks, case.jitter, now=case.now, deadline=deadline)


def _ask(reason: Reason) -> Decision:
    return Decision(Verb.REVIEW, reason, wait=waits.FIRST)
