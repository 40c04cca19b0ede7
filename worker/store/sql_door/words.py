"""Python's own words in PostgreSQL's: literals, patterns and tables of characters.

Nothing here may hang on the database's locale or on a setting of the caller's session: character classes are written
out, literals are read the same whatever `standard_conforming_strings` says, and everything is ASCII.
"""

import re
import sys
from collections.abc import Callable, Iterable
from itertools import groupby

from payconfirm.checks import CALLBACK_URL

_SURROGATES = range(0xD800, 0xE000)


def quoted(words: str) -> str:
    """A literal."""
    escaped = words.replace("\\", "\\\\").replace("'", "''")
    return f"E'{escaped}'"


def listed(words: Iterable[str]) -> str:
    """An array of literals."""
    return f"ARRAY[{', '.join(map(quoted, words))}]"


def printable() -> str:
    """The characters that Python's `repr` leaves as they are, as a multirange of code points."""
    return _multirange(str.isprintable)


def in_a_word() -> str:
    r"""The characters that are `\w` to Python."""
    return _multirange(lambda character: character.isalnum() or character == "_")


def _multirange(has: Callable[[str], bool]) -> str:
    points = (point for point in range(sys.maxunicode + 1) if point not in _SURROGATES and has(chr(point)))
    ranges = []
    for _, run in groupby(enumerate(points), lambda numbered: numbered[1] - numbered[0]):
        first, *rest = (point for _, point in run)
        ranges.append(f"[{first},{rest[-1] if rest else first}]")
    return f"CAST({quoted('{' + ','.join(ranges) + '}')} AS int4multirange)"


def _written_out(pattern: str) -> str:
    r"""The same pattern with `\s` as what Python means by it."""
    spaces = (chr(point) for point in range(0x10000) if chr(point).isspace())
    return pattern.replace(r"\s", "".join(rf"\u{ord(space):04x}" for space in spaces))


CALLBACK = _written_out(CALLBACK_URL)

#: The host and the port of a URL that has the right shape.
HOST_AND_PORT = r"^[A-Za-z]+://(\[[^\]]*\]|[^:/?\[]*)(?::([0-9]{1,5}))?"


def _ipv6() -> str:
    """RFC 3986's IPv6address, which is what Python's `ipaddress` reads."""
    group = "[0-9A-Fa-f]{1,4}"
    byte = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
    last = rf"(?:{group}:{group}|{byte}(?:\.{byte}){{3}})"
    ways = [f"(?:{group}:){{6}}{last}"]
    for after, end in [*((groups, last) for groups in range(5, -1, -1)), (0, group), (0, "")]:
        behind = after + {last: 2, group: 1, "": 0}[end]
        before = 7 - behind  # `::` is one group at the least
        most = f"{{0,{before - 1}}}"
        ways.append((f"(?:(?:{group}:){most}{group})?" if before else "") + f"::(?:{group}:){{{after}}}{end}")
    return rf"^\[(?:{'|'.join(ways)})\]$"


IPV6 = _ipv6()


def bound(statement: str) -> str:
    """A statement of ours with PL/pgSQL's variables (`the_` and the name) where a caller from Python binds values."""
    return re.sub(r"(?<![:\w\\]):(\w+)(?!:)", r"the_\1", statement)
