"""The console's page: search first, then one receipt's story, how things stand, and what people are needed for."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from api.markup import Html, address, command, joined, story_of, table, tag, text, when, words
from api.overview import overview
from api.story import several, story
from api.style import STYLE
from worker.duty import explain, letters
from worker.duty.measures import Asked, Measure
from worker.store.reading import OfOrder, WholeStory

#: So many of each list.
LISTED = 50

_REVIEW = ("receipt", "order", "amount", "reason", "what was said", "since (UTC)")
_CALLBACKS = ("receipt", "event", "to", "last answer", "last try (UTC)", "id")
_LETTERS = ("at (UTC)", "receipt", "order", "amount", "why", "from")

#: What a person does about each list; between the pieces stand commands.
_REVIEW_DO = joined(
    (
        "Nobody is told that it failed or was paid, and what is held stays held. Each is looked at again by itself. ",
        command("python -m worker retry RECEIPT"),
        " has it looked at now, ",
        command("void"),
        " sends the money back, ",
        command("resolve RECEIPT --as confirmed|rejected|voided"),
        " says how it ended where the gateway has no word.",
    )
)
_CALLBACKS_DO = joined(
    (
        "The shop wasn't told by callback, and nothing more is tried by itself. Once the shop is well: ",
        command("python -m worker callbacks --resend ID"),
        ".",
    )
)
_LETTERS_DO = joined(
    (
        "What came in and nobody could use: no money moved for it, and nothing is done about it by itself. ",
        "Have the producer mended, and the document sent again. ",
        command("python -m worker dead-letters --json"),
        " has the raw bytes.",
    )
)


@dataclass
class House:
    """What the page shows; None for what couldn't be read."""

    measures: list[Measure] | None = None
    review: list[Asked] | None = None
    callbacks: list[dict[str, Any]] | None = None
    paused: list[dict[str, Any]] | None = None
    letters: list[dict[str, Any]] | None = None
    #: One receipt's story, or the receipts of one order.
    told: WholeStory | list[OfOrder] | None = None
    #: What couldn't be shown, and why.
    wrong: str = ""


def page(house: House, asked: str) -> str:
    """Give the whole page. `asked` is what somebody looks for."""
    title = f"{asked} · payconfirm" if asked else "payconfirm"
    head = joined(
        (
            Html('<meta charset="utf-8">'),
            Html('<meta name="viewport" content="width=device-width, initial-scale=1">'),
            tag("title", title),
            Html(f"<style>{STYLE}</style>"),
        )
    )
    parts = (
        tag("header", tag("h1", tag("a", "payconfirm", href="/console")), _search(asked)),
        tag("p", house.wrong, class_="wrong") if house.wrong else "",
        _told(house, asked),
        overview(house.measures),
        _in_review(house.review),
        _failed(house.callbacks, house.paused),
        _dead(house.letters),
        tag("p", f"Read at {when(datetime.now(UTC))} UTC. Nothing can be changed here.", class_="faint"),
    )
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{joined(parts)}</body></html>'


def _search(asked: str) -> Html:
    """The field takes what the commands take."""
    field = Html(
        '<input type="search" name="receipt" id="receipt" maxlength="64" autocomplete="off" spellcheck="false" '
        f'placeholder="receipt_id or order_id" value="{text(asked)}">'
    )
    label = tag("label", "Receipt or order", for_="receipt")
    return tag("form", label, field, tag("button", "Show"), method="get", action="/console")


def _told(house: House, asked: str) -> Html:
    if isinstance(house.told, WholeStory):
        return story(house.told)
    return several(asked, house.told) if house.told else Html()


def _in_review(review: list[Asked] | None) -> Html:
    rows = [
        (story_of(each.receipt_id), each.order_id, each.amount, each.reason, words(each.message), when(each.since))
        for each in review or ()
    ]
    return _list("In review", review, _REVIEW_DO, table("In review", _REVIEW, rows))


def _failed(callbacks: list[dict[str, Any]] | None, paused: list[dict[str, Any]] | None) -> Html:
    rows = [
        (
            story_of(call["receipt_id"]),
            call["type"].removeprefix("payconfirm."),
            address(call["endpoint"]),
            words(f"{explain.answer(call)} (try {call['attempts']})"),
            when(call["tried_at"]) if call["tried_at"] else "",
            tag("code", call["id"]),
        )
        for call in callbacks or ()
    ]
    title = "Callbacks that failed"
    return joined((_list(title, callbacks, _CALLBACKS_DO, table(title, _CALLBACKS, rows)), _paused(paused or [])))


def _paused(endpoints: list[dict[str, Any]]) -> Html:
    lines = [
        tag("li", address(each["endpoint"]), f": since {when(each['paused_at'])} UTC, {each['kept']:,} kept")
        for each in endpoints
    ]
    said = "Paused, since they took nothing for a day. Once a callback that is sent again is taken, all follow:"
    return joined((tag("p", said), tag("ul", *lines))) if lines else Html()


def _dead(kept: list[dict[str, Any]] | None) -> Html:
    rows = [
        (
            when(each["at"]),
            story_of(each["receipt_id"]),
            *letters.read(each),
            words(letters.why(each)),
            each["source"],
        )
        for each in kept or ()
    ]
    return _list("Dead letters", kept, _LETTERS_DO, table("Dead letters", _LETTERS, rows))


def _list(title: str, found: Sequence[object] | None, do: Html, shown: Html) -> Html:
    if found is None:
        body: Iterable[object] = (tag("p", "couldn't be read"),)
    elif not found:
        body = (tag("p", "none", class_="faint"),)
    else:
        more = f"These are the first {LISTED}; there may be more." if len(found) == LISTED else ""
        body = (tag("p", do), shown, tag("p", more, class_="faint") if more else "")
    return tag("section", tag("h2", title), *body)
