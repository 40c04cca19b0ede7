"""How things are shown: to people as text, to programs as JSON. What others wrote never reaches a terminal as it is."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

from confirmation.order import Money

#: A line is as long as what it says: a file or a pipe takes it whole, a narrow terminal wraps it. Only beyond this is a
#: cell folded.
_WIDTH = 400
#: A column of the gateway's ids, or of times, is kept this wide, so that they can be copied.
ID_WIDTH = 24


def console(*, stderr: bool = False) -> Console:
    """Give the terminal. Nothing in a text is taken for markup."""
    made = Console(stderr=stderr, markup=False, highlight=False, emoji=False)
    made.width = max(made.width, _WIDTH)
    return made


def say(words: str) -> None:
    """Print one line, not wrapped."""
    typer.echo(words)


def complain(words: str) -> None:
    """Print one line to stderr."""
    typer.echo(words, err=True)


def say_json(value: Any) -> None:  # noqa: ANN401 — anything that JSON has
    """Print JSON."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2))


def table(*columns: str, first_width: int | None = None) -> Table:
    """Begin a table without lines; where it is narrow cells are folded rather than cut."""
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for number, column in enumerate(columns):
        made.add_column(column, overflow="fold", min_width=None if number else first_width)
    return made


def printable(words: object) -> str:
    """Give the words without anything that a terminal could obey."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(words))


def moment(at: datetime) -> str:
    """A time in UTC, to the millisecond."""
    return at.astimezone(UTC).isoformat(" ", "milliseconds").removesuffix("+00:00")


def of_each(items: Mapping[str, int]) -> str:
    """Items as people read them."""
    return ", ".join(f"{quantity} of {sku}" for sku, quantity in items.items()) or "nothing"


def money(amount: Money) -> str:
    """An amount as people read it."""
    return f"{Decimal(str(amount.as_document())):,f} {amount.currency}"
