"""A receipt's story: who tried what when, what the gateway said, why it ended as it did."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.table import Table

from confirmation.events import result_document, timestamp
from worker.duty.showing import ID_WIDTH, moment, money, of_each, printable, table
from worker.store.reading import StoryStep, WholeStory

#: A step's decision is the rules' own word; this is what it comes to. Others are shown as they are.
_DECIDED = {
    "reserve": "hold the stock, then submit",
    "reserve, it is paid": "paid already: hold the stock, then confirm",
    "submit": "submit once more",
    "commit": "confirm",
    "void": "the money must go back",
    "cancel": "ask for the money back",
    "voided": "the money is back: end",
    "reject": "reject",
    "review": "ask people",
    "wait": "look again later",
    "end": "look no more",
    "look up": "look up what became of it",
}
_STALE = "by a worker that had lost its claim: nothing was changed"

STEP_HEADS = ("time (UTC)", "seconds", "attempt", "in", "the gateway said", "decided", "detail")
EVENT_HEADS = ("sequence", "event", "id", "written (UTC)", "published (UTC)")
CALLBACK_HEADS = ("sequence", "callback of", "to", "state", "tries", "last answer", "next try (UTC)")
NO_EVENTS = "no event yet: nothing was told"

#: How a time is written.
When = Callable[[datetime], str]


def as_data(story: WholeStory) -> dict[str, Any]:
    """Give the story as JSON has it."""
    confirmation = story.confirmation
    first = _first(story)
    return {
        **result_document(confirmation),
        "items": dict(confirmation.order.items),
        "created_at": timestamp(confirmation.created_at),
        "due_at": story.due_at and timestamp(story.due_at),
        "leased_until": story.leased_until and timestamp(story.leased_until),
        "steps": [
            step._asdict() | {"at": timestamp(step.at), "seconds": _seconds(step.at, first)} for step in story.steps
        ],
        "events": [
            event._asdict()
            | {
                "id": str(event.id),
                "at": timestamp(event.at),
                "published_at": event.published_at and timestamp(event.published_at),
            }
            for event in story.events
        ],
        "callbacks": story.callbacks,
    }


def show(story: WholeStory, out: Console) -> None:
    """Tell the story to a person."""
    lines = table("", "")
    lines.show_header = False
    for name, words in header(story).items():
        lines.add_row(name, printable(words))
    out.print(lines)
    out.print()
    out.print(_table(STEP_HEADS, steps(story), first_width=ID_WIDTH))
    out.print()
    out.print(_table(EVENT_HEADS, events(story)) if story.events else NO_EVENTS)
    if story.callbacks:
        out.print()
        out.print(_table(CALLBACK_HEADS, callbacks(story)))


def _table(heads: Sequence[str], rows: Iterable[Iterable[str]], first_width: int | None = None) -> Table:
    lines = table(*heads, first_width=first_width)
    for row in rows:
        lines.add_row(*map(printable, row))
    return lines


# The parts of a story, in words: what others wrote stands in them as it is -------------------------------------------


def header(story: WholeStory, when: When = moment) -> dict[str, str]:
    """How the receipt stands; what there is nothing to say about is left out."""
    confirmation = story.confirmation
    order = confirmation.order
    lines = {
        "receipt": order.receipt_id,
        "order": order.order_id,
        "amount": money(order.amount),
        "items": of_each(order.items),
        "callback": (order.callback_url or "").partition("?")[0],
        "state": confirmation.state + (f", from {confirmation.review_from}" if confirmation.review_from else ""),
        "reason": confirmation.reason or "",
        "message": confirmation.message,
        "sequence": f"{confirmation.sequence} told so far",
        "next": _next(story, when),
    }
    return {name: words for name, words in lines.items() if words}


def _next(story: WholeStory, when: When) -> str:
    now, due_at, leased_until = story.read_at, story.due_at, story.leased_until
    if leased_until is not None and leased_until > now:
        return f"a worker has it until {when(leased_until)} at the latest"
    since = due_at or leased_until
    if since is None:
        return "nothing more by itself"
    return f"a look, due at {when(since)}" if since > now else f"due since {when(since)}; nobody has come for it yet"


def steps(story: WholeStory, when: When = moment) -> list[tuple[str, ...]]:
    """Tell the steps in their order; the row's creation, which has none, stands where it belongs."""
    created, first = story.confirmation.created_at, _first(story)
    before = [step for step in story.steps if step.at < created]
    again = "created anew: another document took the receipt over" if before else "created"
    cells = [_cells(step, first, when) for step in story.steps]
    cells.insert(len(before), (when(created), _plus(created, first), "", "", "", again, ""))
    return cells


def _cells(step: StoryStep, first: datetime, when: When) -> tuple[str, ...]:
    detail = "; ".join(part for part in (_STALE if step.stale else "", step.detail) if part)
    done = (str(step.attempt), step.phase, step.seen, decided(step.decided), detail)
    return (when(step.at), _plus(step.at, first), *done)


def events(story: WholeStory, when: When = moment) -> list[tuple[str, ...]]:
    """Tell what was told."""
    return [
        (
            str(event.sequence),
            event.type,
            str(event.id),
            when(event.at),
            when(event.published_at) if event.published_at else "waiting",
        )
        for event in story.events
    ]


def callbacks(story: WholeStory, when: When = moment) -> list[tuple[str, ...]]:
    """Tell what became of each callback."""
    return [
        (
            str(call["sequence"]),
            call["type"],
            call["endpoint"],
            call["state"],
            str(call["attempts"]),
            answer(call),
            when(datetime.fromisoformat(call["due_at"])) if call["due_at"] else "",
        )
        for call in story.callbacks
    ]


def answer(call: dict[str, Any]) -> str:
    """What a callback's last try came to, in words."""
    if call["last_error"]:
        return str(call["last_error"])
    return f"answered {call['last_status']}" if call["last_status"] else ""


def decided(words: str) -> str:
    """A step's decision in words for people, with its reason."""
    verb, _, reason = words.partition(": ")
    return _DECIDED.get(verb, verb) + (f" ({reason})" if reason else "")


def _first(story: WholeStory) -> datetime:
    """The story's first moment; a receipt that was taken over has steps from before its creation."""
    return min([story.confirmation.created_at, *(step.at for step in story.steps)])


def _seconds(at: datetime, first: datetime) -> float:
    return round((at - first).total_seconds(), 3)


def _plus(at: datetime, first: datetime) -> str:
    return f"+{_seconds(at, first):.3f}"
