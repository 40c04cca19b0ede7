"""The console: one page without scripts for people on duty, which shows and changes nothing.

A browser asks for a name, any, and for a key of OPERATOR_KEYS as the password. It sends that with every request to this
host from then on, whoever caused it; so here nothing can be changed, and everywhere else such a key opens nothing.
"""

import base64
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import HTMLResponse

from api import openapi
from api.door import Door, door_of
from api.keys import Watcher
from api.metrics import words
from confirmation.errors import StoreBusy, StoreUnavailable
from payconfirm.checks import check_receipt_id
from worker.duty.explain import decided
from worker.duty.measures import Asked, Measure

router = APIRouter(tags=["on duty"])

#: So many of each list.
_LISTED = 50

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; color: #1b1f24 }
h1 { font-size: 1.3rem } h2 { font-size: 1.05rem; margin-top: 2rem }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; vertical-align: top; padding: .25rem .75rem .25rem 0; border-bottom: 1px solid #d8dee4 }
td { overflow-wrap: anywhere } input, button { font: inherit; padding: .2rem .5rem } .wrong { color: #a40e26 }
"""
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_HEADERS = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
}

Receipt = Annotated[str, Query(max_length=64, description="a receipt_id, whose story is shown")]


@dataclass
class House:
    """What the page shows."""

    measures: list[Measure] = field(default_factory=list)
    review: list[Asked] = field(default_factory=list)
    letters: list[dict[str, Any]] = field(default_factory=list)
    callbacks: list[dict[str, Any]] = field(default_factory=list)
    story: dict[str, Any] | None = None
    #: What couldn't be shown, and why.
    wrong: str = ""


@router.get("/console", summary="A page for people on duty", response_class=HTMLResponse, **openapi.CONSOLE)
async def console(request: Request, _: Watcher, receipt: Receipt = "") -> HTMLResponse:
    """Show how things stand, what people are asked about, and one receipt's story."""
    house = House()
    try:
        await door_of(request).aside.run(_read, door_of(request), receipt.strip(), house)
    except (StoreBusy, StoreUnavailable):
        house.wrong = "The database gives no answer, or not in time; what is missing here couldn't be read."
    return HTMLResponse(_page(house, receipt), headers=_HEADERS)


def _read(door: Door, receipt: str, house: House) -> None:
    """Read one part after the other, so that what was read before the database went away is shown."""
    house.story, house.wrong = _story(door, receipt) if receipt else (None, "")
    house.measures = door.measures.read()
    house.review = door.measures.in_review(_LISTED)
    house.callbacks = door.desk.callbacks.listed("failed", _LISTED)
    house.letters = door.desk.letters.newest(_LISTED)


def _story(door: Door, receipt: str) -> tuple[dict[str, Any] | None, str]:
    try:
        story = door.desk.story(check_receipt_id(receipt))
    except ValueError as wrong:
        return None, f"There is no such receipt: receipt_id {wrong}."
    return story, "" if story else f"There is no receipt {receipt} here."


def _page(house: House, receipt: str) -> str:
    parts = [
        "<h1>payconfirm</h1>",
        _asking(receipt),
        f'<p class="wrong">{escape(house.wrong)}</p>' if house.wrong else "",
        _told(house.story) if house.story else "",
        _table(
            "How things stand", ("what", "", "how many"), [(words(m), m.label, f"{m.value:g}") for m in house.measures]
        ),
        _table("In review", ("receipt", "order", "reason", "what was said", "since (UTC)"), house.review),
        _table(
            "Callbacks that failed",
            ("receipt", "event", "to", "tries", "last answer", "id"),
            [
                (c["receipt_id"], c["type"], c["endpoint"], c["attempts"], c["last_status"] or c["last_error"], c["id"])
                for c in house.callbacks
            ],
        ),
        _table(
            "Dead letters",
            ("at (UTC)", "from", "receipt", "why"),
            [(d["at"], d["source"], d["receipt_id"], d["reason"]) for d in house.letters],
        ),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>payconfirm</title>'
        f"<style>{_STYLE}</style></head><body>{''.join(parts)}</body></html>"
    )


def _asking(receipt: str) -> str:
    field = f'<label>Receipt <input name="receipt" maxlength="64" size="40" value="{escape(receipt)}"></label>'
    return f'<form method="get" action="/console">{field} <button>Show its story</button></form>'


def _told(story: dict[str, Any]) -> str:
    now = [(name, story[name]) for name in ("state", "reason", "message", "order_id", "amount", "currency", "due_at")]
    steps = [
        (s["at"], s["attempt"], s["phase"], s["seen"], decided(s["decided"]), s["detail"], "yes" if s["stale"] else "")
        for s in story["steps"]
    ]
    events = [(e["at"], e["type"], e["sequence"], e["id"], e["published_at"]) for e in story["events"]]
    return (
        _table(f"Receipt {story['receipt_id']}", ("", ""), now)
        + _table("Its steps", ("at (UTC)", "attempt", "in", "the gateway said", "decided", "detail", "too late"), steps)
        + _table("What was told", ("at (UTC)", "event", "sequence", "id", "published (UTC)"), events)
    )


def _table(title: str, heads: Iterable[str], rows: Sequence[Iterable[object]]) -> str:
    """Every word that comes from outside goes through here, or is escaped where it stands."""
    if not rows:
        return f"<h2>{escape(title)}</h2><p>none</p>"
    head = "".join(f"<th>{escape(name)}</th>" for name in heads)
    body = "".join(f"<tr>{''.join(f'<td>{_cell(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<h2>{escape(title)}</h2><table><tr>{head}</tr>{body}</table>"


def _cell(cell: object) -> str:
    return "" if cell is None else escape(str(cell))
