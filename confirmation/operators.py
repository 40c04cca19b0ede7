"""What a person may do to a receipt, by the state it is in; and how a receipt ends by a person's word.

The gateway's word goes before a person's: only where it has none that decides does a person's count.
"""

from dataclasses import replace
from datetime import timedelta
from enum import StrEnum
from typing import NamedTuple

from confirmation import waits
from confirmation.answers import Seen
from confirmation.confirmation import Confirmation
from confirmation.decisions import TABLE, end
from confirmation.states import Reason, State

#: The phase of every step that a person has caused.
PHASE = "operator"


class Act(StrEnum):
    """What people do."""

    #: Have it looked at now.
    RETRY = "retry"
    #: Send the money back.
    VOID = "void"
    #: Say how it ended.
    RESOLVE = "resolve"


class Row(NamedTuple):
    """Why each act isn't done in one state; empty where it is."""

    retry: str
    void: str
    resolve: str


_UNDER_WAY = "it is still under way: wait for its end, or have it looked at now with retry"
_NOT_ASKED = "nobody was asked about it: only what is in review is resolved"

TABLE_OF_ACTS = {
    State.RECEIVED: Row("", _UNDER_WAY, _NOT_ASKED),
    State.SUBMITTING: Row("", _UNDER_WAY, _NOT_ASKED),
    State.VOIDING: Row("", "its money is on its way back already", _NOT_ASKED),
    State.REVIEW: Row("", "", ""),
    State.REJECTED: Row("", "no money was taken as far as is known; should a look find some, it goes back by itself; "
                        "have it looked at now with retry", _NOT_ASKED),
    State.CONFIRMED: Row("it has ended well: there is nothing to look for; void sends the money back", "",
                         "it has ended; void sends the money back"),
    State.VOIDED: Row("it has ended: the money is back", "its money is back already", "it has ended"),
}  # fmt: skip

#: The gateway's word decides, whatever a person says.
DECIDES = frozenset({Seen.PAID, Seen.PAID_OTHER_AMOUNT, Seen.FAILED, Seen.CANCELLED})
#: The gateway itself isn't done: what a person says now may be wrong in a moment.
ON_ITS_WAY = frozenset({Seen.IN_FLIGHT, Seen.IN_FLIGHT_OTHER_AMOUNT, Seen.CANCEL_UNDER_WAY})


def refusal(act: Act, state: State) -> str:
    """Say why this isn't done in this state; empty where it is."""
    words: str = getattr(TABLE_OF_ACTS[state], act.value)
    return words


def word_refused(seen: Seen, *, force: bool, how: str = "--force") -> str:
    """Say why a person's word doesn't end what the gateway shows like this; empty where it does.

    `how` is what a person says where this one speaks, to have their word count.
    """
    if seen in DECIDES:
        return "it follows the gateway, and stays in review until that can be done"
    if seen in ON_ITS_WAY:
        return "that isn't over yet: ask again later"
    return "" if force else f"nothing was changed; {how} makes your word the end"


def hold_first(confirmation: Confirmation) -> bool:
    """Whether it must hold its items and own its order before it can end as confirmed."""
    return not confirmation.holds_stock


def held(confirmation: Confirmation) -> Confirmation:
    """In review as one whose items are held, so that a crash here leaves it to the rules of such a one."""
    return replace(confirmation, review_from=State.SUBMITTING, owns_order=True)


def voiding(confirmation: Confirmation, reason: Reason = Reason.OPERATOR, message: str = "") -> Confirmation:
    """The row as it begins to be voided; what was seen and counted is forgotten, but for the cancels."""
    return replace(
        confirmation,
        state=State.VOIDING,
        reason=reason,
        void_reason=reason,
        review_from=None,
        owns_order=False,
        message=message,
        seen=None,
        looks=0,
        parks=0,
    )


def ended(confirmation: Confirmation, state: State) -> Confirmation:
    """The row as it ends by a person's word."""
    reason = None if state is State.CONFIRMED else Reason.OPERATOR
    return replace(
        confirmation,
        state=state,
        reason=reason,
        void_reason=Reason.OPERATOR if state is State.VOIDED else None,
        review_from=None,
        owns_order=state is State.CONFIRMED,
        message="",
        parks=0,
    )


def next_look(state: State, seen: Seen) -> timedelta | None:
    """A rejection may yet be proven paid, as any other: when it is looked at again, if it is."""
    later = state is State.REJECTED and TABLE[seen].rejected is not end
    return waits.LATE_LOOKS[0] if later else None
