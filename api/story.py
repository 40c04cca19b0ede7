"""One receipt's story in the console, in the words of `explain`, and what a person can do to it now."""

from collections.abc import Callable

from api.markup import Html, address, command, facts, joined, story_of, table, tag, text, when, words
from confirmation.operators import Act, refusal
from confirmation.states import State
from worker.duty import explain, finding
from worker.store.reading import OfOrder, WholeStory

Written = Callable[[str], Html]

#: How the columns are written whose words may be long; the others stay in one line.
_STEP: tuple[Written, ...] = (text, text, text, text, words, text, words)
_CALLBACK: tuple[Written, ...] = (text, text, address, text, text, words, text)

_DOES: dict[Act, tuple[str, object]] = {
    Act.RETRY: ("retry {receipt}", "has it looked at now"),
    Act.VOID: ("void {receipt}", "sends the money back"),
    Act.RESOLVE: (
        "resolve {receipt} --as confirmed|rejected|voided",
        joined(("asks the gateway; where it has no word, with ", command("--force"), " yours is the end")),
    ),
}


def story(told: WholeStory) -> Html:
    """Tell the whole story."""
    receipt_id = told.confirmation.receipt_id
    return tag(
        "section",
        tag("h2", f"Receipt {receipt_id}"),
        facts(_header(told)),
        _what_to_do(receipt_id, told.confirmation.state),
        tag("h3", "Its steps"),
        table("Its steps", explain.STEP_HEADS, (map(_write, _STEP, cells) for cells in explain.steps(told, when))),
        *_told(told),
    )


def several(order_id: str, receipts: list[OfOrder]) -> Html:
    """List the receipts of an order, each a link to its story."""
    rows = [(story_of(each.receipt_id), each.state, each.reason, when(each.created_at)) for each in receipts]
    said = tag("p", finding.which(order_id, receipts))
    return tag("section", tag("h2", f"Order {order_id}"), said, table("Its receipts", finding.HEADS, rows))


def _write(written: Written, cell: str) -> Html:
    return written(cell)


def _header(told: WholeStory) -> list[tuple[str, object]]:
    """How it stands, below its name."""
    lines = explain.header(told, when)
    return [(name, address(said) if name == "callback" else said) for name, said in lines.items() if name != "receipt"]


def _told(told: WholeStory) -> list[Html]:
    """What was told, and to whom."""
    events = table("What was told", explain.EVENT_HEADS, explain.events(told, when))
    parts = [tag("h3", "What was told"), events if told.events else tag("p", explain.NO_EVENTS)]
    if told.callbacks:
        rows = [map(_write, _CALLBACK, cells) for cells in explain.callbacks(told, when)]
        parts += [tag("h3", "Its callbacks"), table("Its callbacks", explain.CALLBACK_HEADS, rows)]
    return parts


def _what_to_do(receipt_id: str, state: State) -> Html:
    """The commands that are done in this state."""
    named = f"-- {receipt_id}" if receipt_id.startswith("-") else receipt_id
    lines = [
        tag("li", command(f"python -m worker {line.format(receipt=named)}"), " ", does)
        for act, (line, does) in _DOES.items()
        if not refusal(act, state)
    ]
    return joined((tag("h3", "What you can do"), tag("ul", *lines))) if lines else Html()
