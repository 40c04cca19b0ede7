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
from sandbox.demo.checks import Books
from sandbox.demo.house import APPROVE_SECONDS, LOOKUP_SECONDS
from sandbox.demo.rush import Ending

#: Fits beside a terminal's edge, and in a log that nobody gave a width.
WIDTH = 96
COLOURS: dict[str, str] = {State.CONFIRMED: "green", State.REJECTED: "yellow", State.VOIDED: "cyan"}

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
    for complaint in wrong:
        console.print(f"  wrong: {complaint}", style="red", markup=False, highlight=False)
    if wrong:
        console.print(
            f"{len(wrong)} things don't add up." if wrong[1:] else "One thing doesn't add up.", style="bold red"
        )
    else:
        console.print("Everything adds up.", style="bold green")


def _parts(books: Books) -> Iterator[RenderableType]:
    yield _outcomes(books.endings)
    yield _stock(books)
    yield _figures([*_speed(books.endings), *_money(books), *_audit(books)])


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


def _speed(endings: list[Ending]) -> Iterator[tuple[str, str]]:
    """Speed without the receipts that the gateway doesn't know: they wait by the rules, not for us."""
    timed = [ending for ending in endings if ending.buyer.kind is not Kind.UNKNOWN]
    seconds = max(ending.told_at for ending in timed) - min(ending.sent_at for ending in timed)
    waits = sorted(ending.seconds * 1000 for ending in timed)
    doors = Counter(ending.buyer.doors[0] for ending in endings)
    copies = sum(len(ending.buyer.doors) - 1 for ending in endings)
    yield (
        "Delivered",
        (f"{doors[Door.HTTP]} receipts by HTTP, {doors[Door.CELERY]} by Celery, and {copies} copies through both"),
    )
    rate = f"{len(timed) / seconds:.0f} receipts a second"
    yield "Rate", f"{rate}; only {ARRIVALS_PER_SECOND} a second are sent, so it can't be higher"
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
            f" {len(endings) - len(timed)} receipts that it doesn't know"
        ),
    )


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
