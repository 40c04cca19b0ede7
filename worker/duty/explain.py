"""A receipt's story: who tried what when, what the gateway said, why it ended as it did."""

from datetime import datetime
from typing import Any

from rich.console import Console

from confirmation.confirmation import Confirmation
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
    }


def show(story: WholeStory, out: Console) -> None:
    """Tell the story to a person."""
    _show_header(story, out)
    out.print()
    _show_steps(story, out)
    out.print()
    _show_events(story, out)


def _show_header(story: WholeStory, out: Console) -> None:
    confirmation = story.confirmation
    header = table("", "")
    header.show_header = False
    lines = _header(confirmation) | {"next": _next(story)}
    for name, words in lines.items():
        if words:
            header.add_row(name, printable(words))
    out.print(header)


def _header(confirmation: Confirmation) -> dict[str, str]:
    order = confirmation.order
    return {
        "receipt": order.receipt_id,
        "order": order.order_id,
        "amount": money(order.amount),
        "items": of_each(order.items),
        "state": confirmation.state + (f", from {confirmation.review_from}" if confirmation.review_from else ""),
        "reason": confirmation.reason or "",
        "message": confirmation.message,
        "sequence": f"{confirmation.sequence} told so far",
    }


def _next(story: WholeStory) -> str:
    if story.leased_until is not None:
        return f"a worker has it until {moment(story.leased_until)} at the latest"
    if story.due_at is not None:
        return f"a look, due at {moment(story.due_at)}"
    return "nothing more by itself"


def _show_steps(story: WholeStory, out: Console) -> None:
    """Tell the steps in their order; the row's creation, which has none, stands where it belongs."""
    created, first = story.confirmation.created_at, _first(story)
    names = ("time (UTC)", "seconds", "attempt", "in", "the gateway said", "decided", "detail")
    steps = table(*names, first_width=ID_WIDTH)
    before = [step for step in story.steps if step.at < created]
    for step in before:
        steps.add_row(*_cells(step, first))
    again = "created anew: another document took the receipt over" if before else "created"
    steps.add_row(moment(created), _plus(created, first), "", "", "", again, "")
    for step in story.steps[len(before) :]:
        steps.add_row(*_cells(step, first))
    out.print(steps)


def _cells(step: StoryStep, first: datetime) -> list[str]:
    detail = "; ".join(part for part in (_STALE if step.stale else "", step.detail) if part)
    cells = (str(step.attempt), step.phase, step.seen, decided(step.decided), detail)
    return [moment(step.at), _plus(step.at, first), *map(printable, cells)]


def decided(words: str) -> str:
    """A step's decision in words for people, with its reason."""
    verb, _, reason = words.partition(": ")
    return _DECIDED.get(verb, verb) + (f" ({reason})" if reason else "")


def _show_events(story: WholeStory, out: Console) -> None:
    if not story.events:
        out.print("no event yet: nothing was told")
        return
    events = table("sequence", "event", "id", "written (UTC)", "published (UTC)")
    for event in story.events:
        published = moment(event.published_at) if event.published_at else "waiting"
        events.add_row(str(event.sequence), event.type, str(event.id), moment(event.at), published)
    out.print(events)


def _first(story: WholeStory) -> datetime:
    """The story's first moment; a receipt that was taken over has steps from before its creation."""
    return min([story.confirmation.created_at, *(step.at for step in story.steps)])


def _seconds(at: datetime, first: datetime) -> float:
    return round((at - first).total_seconds(), 3)


def _plus(at: datetime, first: datetime) -> str:
    return f"+{_seconds(at, first):.3f}"
