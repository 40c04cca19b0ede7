"""Callbacks for people on duty: what became of each, what is paused, and sending one again."""

from typing import Any

from confirmation.operating import NotDone
from worker.duty import showing
from worker.store.callbacks import Callbacks

#: So many callbacks are listed, the newest.
MOST_LISTED = 1000
#: An id is shown in one piece, so that it can be copied.
_ID_WIDTH = 36


def show(table: Callbacks, state: str | None, *, as_json: bool) -> None:
    """List callbacks of one state, or all of them, and the endpoints that are paused."""
    listed = table.listed(state, MOST_LISTED)
    if as_json:
        showing.say_json(listed)
    else:
        screen = showing.console()
        if paused := table.paused():
            screen.print(_paused(paused))
            screen.print()
        screen.print(_calls(listed) if listed else "none")
    if len(listed) == MOST_LISTED:
        showing.complain(f"these are the newest {MOST_LISTED}; there may be more")


def send_again(table: Callbacks, callback_id: str) -> str:
    """Have a callback sent again, and say so. Raises `NotDone`."""
    try:
        sent = table.resend(callback_id)
    except LookupError as unknown:
        raise NotDone(str(unknown)) from None
    if not sent:
        raise NotDone(f"callback {callback_id} is on its way at this moment; look again in a few seconds")
    return f"{callback_id} is sent again, as soon as the relay and a callbacks process run"


def _calls(listed: list[dict[str, Any]]) -> Any:  # noqa: ANN401 — rich's own table
    lines = showing.table("id", "receipt", "event", "state", "tries", "next (UTC)", "to", "why", first_width=_ID_WIDTH)
    for call in listed:
        words = (
            call["id"],
            call["receipt_id"],
            call["type"].removeprefix("payconfirm."),
            call["state"],
            call["attempts"],
            (call["due_at"] or "-").replace("T", " ")[:19],
            call["endpoint"],
            call["last_error"] or "",
        )
        lines.add_row(*map(showing.printable, words))
    return lines


def _paused(endpoints: list[dict[str, Any]]) -> Any:  # noqa: ANN401 — as above
    lines = showing.table("paused endpoint", "since (UTC)", "fails since (UTC)", "keeps")
    for each in endpoints:
        words = (each["endpoint"], each["paused_at"], each["failing_since"], each["kept"])
        lines.add_row(*map(showing.printable, words))
    return lines
