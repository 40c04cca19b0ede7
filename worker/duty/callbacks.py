"""Callbacks for people on duty: what became of each, what is paused, and sending one again."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from rich.table import Table

from confirmation.operating import NotDone
from worker.duty import showing
from worker.duty.explain import answer
from worker.store.callbacks import Callbacks

#: So many callbacks are listed, the newest.
MOST_LISTED = 1000
#: Nobody needs to know how many more were delivered.
MOST_COUNTED = 100_000
#: What isn't delivered, in the order in which people are needed for it.
UNDELIVERED = ("failed", "paused", "pending")
#: An id is shown in one piece, so that it can be copied.
_ID_WIDTH = 36


class Wanted(NamedTuple):
    """Which callbacks are listed: of one state or of all, of one receipt or of all."""

    state: str | None = None
    receipt_id: str | None = None


def show(table: Callbacks, wanted: Wanted, *, as_json: bool) -> None:
    """List callbacks, and the endpoints that are paused; where a person asks for all, what was delivered is counted."""
    short = wanted == Wanted() and not as_json
    lists = [
        table.listed(state, MOST_LISTED, wanted.receipt_id) for state in (UNDELIVERED if short else [wanted.state])
    ]
    listed = [call for each in lists for call in each]
    if as_json:
        showing.say_json(listed)
    else:
        nothing = "nothing undelivered" if short else "none"
        _show(_calls(listed) if listed else nothing, table.paused() if wanted.receipt_id is None else [])
    if short:  # all of them, for a person
        showing.say(_delivered(table.delivered(MOST_COUNTED + 1)))
    if any(len(each) == MOST_LISTED for each in lists):
        showing.complain(f"these are the newest {MOST_LISTED}; there may be more")


def _show(listed: Table | str, paused: list[dict[str, Any]]) -> None:
    screen = showing.console()
    if paused:
        screen.print(_paused(paused))
        screen.print()
    screen.print(listed)


def send_again(table: Callbacks, callback_id: str) -> str:
    """Have a callback sent again, and say so. Raises `NotDone`."""
    try:
        sent = table.resend(callback_id)
    except LookupError as unknown:
        raise NotDone(str(unknown)) from None
    if not sent:
        raise NotDone(f"callback {callback_id} is on its way at this moment; look again in a few seconds")
    return f"{callback_id} is sent again, as soon as the relay and a callbacks process run"


def _delivered(count: int) -> str:
    return f"{f'more than {MOST_COUNTED:,}' if count > MOST_COUNTED else f'{count:,}'} delivered"


def _calls(listed: Iterable[dict[str, Any]]) -> Table:
    lines = showing.table(
        "id", "receipt", "event", "state", "tries", "next (UTC)", "to", "last answer", first_width=_ID_WIDTH
    )
    for call in listed:
        words = (
            call["id"],
            call["receipt_id"],
            call["type"].removeprefix("payconfirm."),
            call["state"],
            call["attempts"],
            (call["due_at"] or "-").replace("T", " ")[:19],
            call["endpoint"],
            answer(call),
        )
        lines.add_row(*map(showing.printable, words))
    return lines


def _paused(endpoints: Iterable[dict[str, Any]]) -> Table:
    lines = showing.table("paused endpoint", "since (UTC)", "fails since (UTC)", "keeps")
    for each in endpoints:
        words = (each["endpoint"], each["paused_at"], each["failing_since"], each["kept"])
        lines.add_row(*map(showing.printable, words))
    return lines
