"""HTML in small pieces: what isn't marked as ours is escaped, and shows nothing that only a machine would see."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from html import escape
from urllib.parse import quote

from payconfirm.checks import check_receipt_id
from worker.duty.showing import printable


class Html(str):
    """Markup that was made here."""

    __slots__ = ()


def text(words: object) -> Html:
    """Give words as they may stand in a page, wherever they come from."""
    return words if isinstance(words, Html) else Html(escape(printable("" if words is None else words)))


def tag(name: str, *inside: object, **attributes: str) -> Html:
    """Give an element. An attribute `class_` is `class`."""
    named = "".join(f' {key.rstrip("_").replace("_", "-")}="{text(value)}"' for key, value in attributes.items())
    return Html(f"<{name}{named}>{joined(inside)}</{name}>")


def joined(parts: Iterable[object]) -> Html:
    """Give one after the other."""
    return Html("".join(map(text, parts)))


def words(said: object) -> Html:
    """Give a cell that may be long: it wraps between words, where others scroll."""
    return tag("span", said, class_="words") if said else Html()


def command(line: str) -> Html:
    """Give a command, which breaks between its words only."""
    return tag("code", Html(" ".join(tag("span", word) for word in line.split(" "))))


def address(url: str) -> Html:
    """Give a web address, which may break behind its slashes."""
    return Html(text(url).replace("/", "/<wbr>"))


def when(at: datetime | str) -> str:
    """A time in UTC, to the second."""
    at = datetime.fromisoformat(at) if isinstance(at, str) else at
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def story_of(receipt_id: str | None) -> Html:
    """Link to a receipt's story; what can't be a receipt's name is no link."""
    try:
        named = check_receipt_id(receipt_id)
    except ValueError:
        return text(receipt_id)
    return tag("a", named, href=f"/console?receipt={quote(named, safe='')}")


def table(title: str, heads: Sequence[str], rows: Iterable[Iterable[object]]) -> Html:
    """Give a table in a box of its own, which scrolls sideways; in a narrow window each row is a list of its own."""
    head = tag("thead", tag("tr", *(tag("th", head, scope="col") for head in heads)))
    body = tag("tbody", *(tag("tr", *map(_cell, heads, row)) for row in rows))
    return tag("div", tag("table", head, body), class_="box", role="region", tabindex="0", aria_label=title)


def _cell(head: str, cell: object) -> Html:
    """Give a cell that knows what it is; one without words is left out of a list."""
    inside = text(cell)
    return tag("td", inside, data_head=head) if inside else tag("td", class_="none")


def facts(lines: Iterable[tuple[str, object]]) -> Html:
    """Give names and what is said of each."""
    return tag("dl", *(joined((tag("dt", name), tag("dd", said))) for name, said in lines), class_="facts")
