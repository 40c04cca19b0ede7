"""The shop's own part of a commit: which of its hook's methods is called when, and with what.

A method is called inside the transaction of the commit that it belongs to, so that the shop's tables and ours change
together or not at all. What was called last stands in the row (`Confirmation.hooked`), so that each is undone once.
"""

from copy import deepcopy
from dataclasses import replace
from enum import StrEnum
from typing import Any, Protocol

from confirmation.confirmation import Confirmation
from confirmation.errors import HookFailed
from confirmation.ports import Commit
from confirmation.states import Hooked, State


class Method(StrEnum):
    """What a shop's hook may have."""

    ON_RESERVE = "on_reserve"
    ON_COMMIT = "on_commit"
    ON_RELEASE = "on_release"
    ON_VOID = "on_void"


#: Before the payment is recorded the shop may yet say no; afterwards it is only told.
MAY_REFUSE = frozenset({Method.ON_RESERVE, Method.ON_COMMIT})

#: What is called as a receipt enters a state, by what the shop's tables know of it. Money that was voided by a person
#: after `on_commit` had run is still the order's until it is back.
CALLED = {
    None: {State.SUBMITTING: Method.ON_RESERVE, State.CONFIRMED: Method.ON_COMMIT},
    Hooked.RESERVED: {
        State.CONFIRMED: Method.ON_COMMIT,
        State.REJECTED: Method.ON_RELEASE,
        State.VOIDING: Method.ON_RELEASE,
        State.VOIDED: Method.ON_RELEASE,
    },
    Hooked.COMMITTED: {State.REJECTED: Method.ON_VOID, State.VOIDED: Method.ON_VOID},
}

#: What the shop's tables know once the method's commit is made.
KNOWN = {Method.ON_RESERVE: Hooked.RESERVED, Method.ON_COMMIT: Hooked.COMMITTED}


class Hook(Protocol):
    """The shop's hook, as the store calls it."""

    def has(self, method: Method) -> bool:
        """Say whether the shop has a part in such a commit."""

    def call(self, method: Method, connection: Any, order: dict[str, Any]) -> None:  # noqa: ANN401 — the store's own
        """Let the shop write its part. Raises `HookFailed`, and where the method may, `HookRefused`."""


def method_of(before: Confirmation, after: Confirmation) -> Method | None:
    """Say which method belongs to this change, if any. A review goes by the state it came from."""
    return CALLED[before.hooked].get(after.origin) if after.origin is not before.origin else None


def part_in(hook: Hook | None, before: Confirmation, after: Confirmation) -> Method | None:
    """Say which method is to be called for this change, if any.

    Raises `HookFailed` where there should be a hook: what the shop's tables know of would never be undone there.
    """
    method = method_of(before, after)
    if hook is None and method and before.hooked:
        raise HookFailed(
            f"{method} is missing: the receipt was {before.hooked} under a hook, and ORDER_HOOK isn't set here"
        )
    return method if hook else None


def called(commit: Commit, method: Method) -> Commit:
    """Give the commit as it is made together with the method."""
    return replace(commit, after=replace(commit.after, hooked=KNOWN.get(method)))


def order_of(after: Confirmation) -> dict[str, Any]:
    """Give what the hook is told, to keep: the order document, and how the receipt stands once the commit is made."""
    return deepcopy({**after.order.as_document(), "state": after.state.value, "payment": after.payment})
