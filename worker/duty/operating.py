"""What people on duty do to one receipt, and why it isn't done where it isn't."""

import getpass
import os
import platform

from confirmation.confirmation import Confirmation
from confirmation.operators import Act, refusal
from worker.store.operating import Operating


class NotDone(Exception):
    """Nothing was changed; the message says why."""


def who() -> str:
    """The person at this machine, as far as it knows."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in many containers
        name = f"user {os.getuid()}"
    return f"{name}@{platform.node() or 'unknown host'}"


def may(rows: Operating, act: Act, receipt_id: str) -> Confirmation:
    """Give the receipt as it stands, or say why this can't be done to it."""
    try:
        confirmation = rows.standing(receipt_id).confirmation
    except LookupError as unknown:
        raise NotDone(str(unknown)) from None
    if why := refusal(act, confirmation.state):
        raise NotDone(f"{receipt_id} is {said(confirmation)}: {why}")
    return confirmation


def retry(rows: Operating, receipt_id: str, by: str) -> None:
    """Have the receipt looked at now."""
    may(rows, Act.RETRY, receipt_id)
    if not rows.retry(receipt_id, by):
        may(rows, Act.RETRY, receipt_id)
        raise NotDone(f"{receipt_id} was moved just now: look at it again")


def void(rows: Operating, seen: Confirmation, by: str, *, restock: bool) -> None:
    """Have the money of a receipt sent back that the person saw like this."""
    if not rows.void(seen.receipt_id, seen.state, by, restock=restock):
        may(rows, Act.VOID, seen.receipt_id)
        raise NotDone(f"{seen.receipt_id} was moved just now: look at it again")


def said(confirmation: Confirmation) -> str:
    """The state, with its reason."""
    return confirmation.state + (f" ({confirmation.reason})" if confirmation.reason else "")
