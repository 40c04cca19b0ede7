"""What people on duty do to one receipt, and why it isn't done where it isn't."""

from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from confirmation.confirmation import Confirmation
from confirmation.errors import HookFailed
from confirmation.operators import Act, refusal
from confirmation.states import State


class NotDone(Exception):
    """Nothing was changed; the message says why."""


@dataclass(frozen=True)
class Standing:
    """A row as a person sees it, and the fence to claim it with."""

    confirmation: Confirmation
    fence: UUID | None


class Rows(Protocol):
    """The rows, as people get at them. Each act is one commit, its step included; `by` says who, for the story."""

    def standing(self, receipt_id: str) -> Standing:
        """How the receipt stands. Raises `LookupError` for one without a row."""

    def retry(self, receipt_id: str, by: str) -> bool:
        """Have it looked at now, by whoever comes first; say whether it can be."""

    def void(self, receipt_id: str, seen: State, by: str, *, restock: bool) -> bool:
        """Have its money sent back, if it is still in the state that the person saw; say whether it was.

        Raises `HookFailed`: then nothing was changed.
        """

    def make_room(self, receipt_id: str, fence: UUID) -> frozenset[str]:
        """Let what the receipt gave back be taken anew, under the claim; give what is still sold to it."""


def may(rows: Rows, act: Act, receipt_id: str) -> Confirmation:
    """Give the receipt as it stands, or say why this can't be done to it."""
    try:
        confirmation = rows.standing(receipt_id).confirmation
    except LookupError as unknown:
        raise NotDone(str(unknown)) from None
    if why := refusal(act, confirmation.state):
        raise NotDone(f"{receipt_id} is {said(confirmation)}: {why}")
    return confirmation


def retry(rows: Rows, receipt_id: str, by: str) -> None:
    """Have the receipt looked at now."""
    may(rows, Act.RETRY, receipt_id)
    if not rows.retry(receipt_id, by):
        may(rows, Act.RETRY, receipt_id)
        raise NotDone(f"{receipt_id} was moved just now: look at it again")


def void(rows: Rows, seen: Confirmation, by: str, *, restock: bool) -> None:
    """Have the money of a receipt sent back that the person saw like this."""
    try:
        done = rows.void(seen.receipt_id, seen.state, by, restock=restock)
    except HookFailed as failed:
        raise NotDone(f"{seen.receipt_id}: the shop's own hook failed, {failed}; nothing was changed") from failed
    if not done:
        may(rows, Act.VOID, seen.receipt_id)
        raise NotDone(f"{seen.receipt_id} was moved just now: look at it again")


def said(confirmation: Confirmation) -> str:
    """The state, with its reason."""
    return confirmation.state + (f" ({confirmation.reason})" if confirmation.reason else "")
