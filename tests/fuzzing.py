"""Nonsense that is almost right: documents, messages and answers with a few things wrong, the same for the same seed.

FUZZ=10000 tries so many of each in place of a few; SEED=… tries others. Both stand in what a failure prints.
"""

import copy
import json
import os
import random
from collections.abc import Iterator
from typing import Any

SEED = int(os.environ.get("SEED", "1"))
LONGEST = 200

#: What stands where something else is expected: every kind of JSON, limits and what lies just beyond them.
ODD = (
    *(
        None,
        True,
        False,
        0,
        -0.0,
        1,
        -1,
        3000.5,
        1e308,
        10**12,
        10**12 + 1,
        2**63,
        10**400,
        "",
        " ",
        "0",
        "-1",
        "10.50",
    ),
    *(
        "1e3",
        "\uff13000",
        "a\0b",
        "\x7f",
        "\u2028",
        "\ud800",
        "주문-1",
        "😀" * 65,
        "x" * 5000,
        "../../etc",
        "%2e%2e",
        "' OR 1=1",
    ),
    *([], {}, [[]], [None], {"": None}, {"__type__": "bytes", "__value__": "x"}, ["a"] * 200, [{}] * 101),
)
_BYTES = (
    b"\0",
    b"\xff\xfe",
    b"{",
    b"}",
    b'"',
    b"\\",
    b"[" * 2000,
    b"\r\n\r\n",
    b"NaN",
    b"\xed\xa0\x80",
    b"\\ud800",
    b",",
)


def count(few: int) -> int:
    """How many to try."""
    return int(os.environ.get("FUZZ", few))


def chances(name: str) -> random.Random:
    """Chances of a test's own."""
    return random.Random(f"{SEED}/{name}")


def twisted(chance: random.Random, value: Any) -> Any:
    """A copy with one to three things in it replaced, left out, added or doubled."""
    changed = json.loads(json.dumps(value))
    for _ in range(chance.randint(1, 3)):
        places = list(_places(changed))
        if not places:
            return odd(chance)
        where, key = chance.choice(places)
        _twist(chance, where, key)
    return changed


def odd(chance: random.Random) -> Any:
    """Something that is expected nowhere; a copy, since it may be twisted in its turn."""
    return copy.deepcopy(chance.choice(ODD))


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield value, key
        yield from _places(child)


def _twist(chance: random.Random, where: Any, key: Any) -> None:
    match chance.randrange(4):
        case 0:
            del where[key]
        case 1 if isinstance(where, dict):
            where[chance.choice(("x" * 300, "", "Amount", "receipt_id ", "\u2028", "items"))] = odd(chance)
        case 2 if isinstance(where, list):
            where.append(where[key])
        case _:
            where[key] = odd(chance)


def broken(chance: random.Random, text: bytes) -> bytes:
    """The text with a part cut off, doubled or overwritten; or anything at all."""
    start = chance.randrange(len(text) + 1)
    end = min(len(text), start + chance.randrange(20))
    match chance.randrange(5):
        case 0:
            return text[:start]
        case 1:
            return text[:start] + chance.choice(_BYTES) + text[end:]
        case 2:
            return text[:end] + text[start:]
        case 3:
            return text[:start] + chance.randbytes(chance.randrange(8)) + text[end:]
        case _:
            return chance.randbytes(chance.randrange(LONGEST))


def as_text(value: Any) -> bytes:
    """JSON, lone surrogates escaped."""
    return json.dumps(value).encode()


def nonsense(chance: random.Random, value: Any) -> bytes:
    """The value as JSON with something wrong in it, or with its text."""
    text = as_text(twisted(chance, value) if chance.random() < 0.7 else value)
    return broken(chance, text) if chance.random() < 0.5 else text
