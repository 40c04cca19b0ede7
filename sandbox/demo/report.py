"""What people read at the end: outcomes, speed, money, stock, and whether all of it adds up."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from confirmation.states import Reason, State
from sandbox.demo.cast import ARRIVALS_PER_SECOND, CONFIRMED, SCARCE, SHELF, SOLD_OUT, Door, End, Kind
from sandbox.demo.checks import Books, Done
from sandbox.demo.house import APPROVE_SECONDS, LOOKUP_SECONDS
from sandbox.demo.plan import Deed
from sandbox.demo.rush import Ending

#: Fits beside a terminal's edge, and in a log that nobody gave a width.
WIDTH = 96
COLOURS: dict[str, str] = {State.CONFIRMED: "green", State.REJECTED: "yellow", State.VOIDED: "cyan"}

#: Where nearly everything is wrong, more of it says no more.
MOST_SHOWN = 20
#: Nobody waits for so long in a house that is left alone.
SLOW_SECONDS = 3
FAULTS_IN_WORDS = {
    "lost_answer": "answer of the gateway lost",
    "hang": "answer of the gateway late by 2 or 3 s",
    "http_500": "error of the gateway (500), whether it did what was asked or not",
    "http_429": "call refused by the gateway as too fast (429)",
}

MEANS: dict[End, str] = {
    CONFIRMED: "charged once, stock sold",
    (State.REJECTED, Reason.OUT_OF_STOCK): "signed vinyl was gone, no charge",
    (State.REJECTED, Reason.DECLINED): "the bank said no, stock given back",
    (State.REJECTED, Reason.AMOUNT_MISMATCH): "amount isn't the order's, no charge",
    (State.REJECTED, Reason.ORDER_MISMATCH): "another order's receipt, left alone",
    (State.REJECTED, Reason.RECEIPT_NOT_FOUND): "looked for 10 s: not at the gateway",
    (State.REJECTED, Reason.ORDER_ALREADY_PAID): "order was paid already, no charge",
    (State.VOIDED, Reason.OUT_OF_STOCK): "paid umbrella sold out, money back",
}


def show(console: Console, books: Books, wrong: list[str]) -> None:
    """Print the report, and as the last line whether everything adds up."""
    console.print(Group(*_parts(books)), width=min(WIDTH, console.width))
    for complaint in wrong[:MOST_SHOWN]:
        console.print(f"  wrong: {complaint}", style="red", markup=False, highlight=False)
    if wrong[MOST_SHOWN:]:
        console.print(f"  and {len(wrong) - MOST_SHOWN} more", style="red", highlight=False)
    if wrong:
        console.print(
            f"{len(wrong)} things don't add up." if wrong[1:] else "One thing doesn't add up.", style="bold red"
        )
    else:
        console.print("Everything adds up.", style="bold green")


def _parts(books: Books) -> Iterator[RenderableType]:
    yield _outcomes(books.endings)
    yield _stock(books)
    if books.done:
        yield _deeds(books.endings, books.done)
    cost = _cost(books.endings, books.done) if books.done else ()
    yield _figures([*_speed(books), *_money(books), *_audit(books), *cost])


def _outcomes(endings: list[Ending]) -> Table:
    table = _table("What became of them", "Count", "State", "Reason", "In other words")
    counts = Counter(ending.end for ending in endings)
    for end, number in sorted(counts.items(), key=lambda pair: list(MEANS).index(pair[0]) if pair[0] in MEANS else 99):
        state, reason = end
        table.add_row(
            str(number), Text(state, COLOURS.get(state, "red")), reason or "", MEANS.get(end, "never expected")
        )
    return table


def _stock(books: Books) -> Table:
    table = _table("What was sold", "Set", "Sold", "Left", "Item", left_from=3)
    wanted = sum(ending.buyer.kind is Kind.SCARCE for ending in books.endings)
    notes = {SCARCE: f"  ← scarce: {wanted} buyers wanted one", SOLD_OUT: "  ← sold out from the start"}
    for item in (*SHELF, SCARCE, SOLD_OUT):
        left = books.stock_left.get(item.sku)
        name = Text.assemble(item.name, (notes.get(item, ""), "magenta"))
        table.add_row(str(books.stock_set[item.sku]), str(books.sold[item.sku]), str(left), name)
    return table


def _deeds(endings: list[Ending], done: Done) -> Table:
    table = _table("What was done to it", "Count", "What")
    for deed in Deed:
        if times := done.deeds.get(deed):
            table.add_row(str(times), deed.value)
    for fault, words in FAULTS_IN_WORDS.items():
        if times := done.faults.get(fault):
            table.add_row(str(times), words)
    table.add_row(str(_copies(endings)), "copy of a document, through either door")
    if done.spared:
        table.add_row("0", "server killed: PostgreSQL and Redis are yours, so this part is left out")
    return table


def _cost(endings: list[Ending], done: Done) -> Iterator[tuple[str, str]]:
    """What that took, and from whom."""
    seconds = sorted(ending.seconds for ending in _timed(endings))
    slow = sum(each > SLOW_SECONDS for each in seconds)
    yield (
        "What it took",
        (
            f"the slowest receipt took {seconds[-1]:.1f} s, and {slow} of {len(seconds)} more than {SLOW_SECONDS} s:"
            " what a killed worker had begun is looked at again once its lease is over, 18 s at most"
        ),
    )
    if done.asked_again or done.put_off:
        yield (
            "Asked again",
            (
                f"{done.asked_again} buyers by Celery: their message may have been lost with Redis, so they sent the"
                " same document again, which is the same job. Nobody had to who came by HTTP"
            ),
        )
        yield "", f"{done.put_off} times a door said that it can't take a document now, and took it a little later"
    if done.stale_steps:
        yield (
            "Came too late",
            f"{done.stale_steps} answers to workers that had lost their claim: noted, nothing changed",
        )
    yield "Nothing lost", f"{sum(ending.right for ending in endings)} of {len(endings)} receipts ended as they should"


def _timed(endings: list[Ending]) -> list[Ending]:
    """Those whose speed is ours; the receipts that the gateway doesn't know wait by the rules."""
    return [ending for ending in endings if ending.buyer.kind is not Kind.UNKNOWN]


def _copies(endings: list[Ending]) -> int:
    return sum(len(ending.buyer.doors) - 1 for ending in endings)


def _speed(books: Books) -> Iterator[tuple[str, str]]:
    endings, timed = books.endings, _timed(books.endings)
    seconds = max(ending.told_at for ending in timed) - min(ending.sent_at for ending in timed)
    waits = sorted(ending.seconds * 1000 for ending in timed)
    doors = Counter(ending.buyer.doors[0] for ending in endings)
    yield (
        "Delivered",
        (
            f"{doors[Door.HTTP]} receipts by HTTP, {doors[Door.CELERY]} by Celery,"
            f" and {_copies(endings)} copies through both"
        ),
    )
    rate = f"{len(timed) / seconds:.0f} receipts a second"
    only = f"; only {ARRIVALS_PER_SECOND} a second are sent, so it can't be higher"
    yield "Rate", f"{rate}{', from the first sent to the slowest told' if books.done else only}"
    yield (
        "Time to final",
        (f"p50 {_percentile(waits, 50):.0f} ms, p99 {_percentile(waits, 99):.0f} ms, the longest {waits[-1]:.0f} ms"),
    )
    yield (
        "",
        (
            "from just before a document is sent until its waiting client has the result: by long poll"
            " for those who came by HTTP, as Celery publishes it for the others. The gateway takes"
            f" {LOOKUP_SECONDS} s to look up and {APPROVE_SECONDS} s to approve. Without the"
            f" {_unknown(len(endings) - len(timed))}"
        ),
    )


def _unknown(count: int) -> str:
    return "one receipt that it doesn't know" if count == 1 else f"{count} receipts that it doesn't know"


def _money(books: Books) -> Iterator[tuple[str, str]]:
    kept = books.charged_won - books.sent_back_won
    same = "=" if kept == books.confirmed_won else "≠"
    yield "Money", f"{books.charged_won:,} won charged at the gateway, {books.sent_back_won:,} sent back"
    yield "", f"{kept:,} won kept there {same} {books.confirmed_won:,} won confirmed here"
    twice = len(books.ledger["totals"]["charged_twice"])
    yield "Charged twice", f"{twice or 'no'} receipt{'s' if twice > 1 else ''}"


def _audit(books: Books) -> Iterator[tuple[str, str]]:
    found = len(books.audit["findings"])
    yield "Audit", f"`python -m worker audit --gateway`: {f'{found} findings' if found else 'nothing found'}"


def _figures(lines: Iterable[tuple[str, str]]) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 1))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, words in lines:
        table.add_row(name, words, style="" if name else "dim")
    return table


def _table(title: str, *columns: str, left_from: int = 1) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, padding=(0, 1))
    for place, column in enumerate(columns):
        table.add_column(column, justify="left" if place >= left_from else "right")
    return table


def _percentile(ordered: list[float], percent: int) -> float:
    """The smallest value that so many percent of all don't exceed."""
    return ordered[math.ceil(len(ordered) * percent / 100) - 1]
