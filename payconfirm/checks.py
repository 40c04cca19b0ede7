"""The rules of the order document that a type can't say. Each check gives the value back, or says what is wrong."""

import ipaddress
import json
import math
import re
from typing import Any
from urllib.parse import urlsplit

#: One receipt's name. It becomes part of a URL and of keys, so nothing else ever; ASCII only.
RECEIPT_ID = r"^[A-Za-z0-9_-]{1,64}$"

#: Both currencies in whole units, won or dollars.
MAX_AMOUNT = 10**12

#: A USD amount: above zero, no sign, no needless zero in front, exactly two decimals; ASCII digits only.
USD_AMOUNT = r"^(?:0\.0[1-9]|0\.[1-9][0-9]|[1-9][0-9]{0,11}\.[0-9]{2}|1000000000000\.00)$"

MAX_URL_LENGTH = 2048

#: http or https, a host in ASCII (an international name as xn--…) or an IPv6 address in brackets, perhaps a port, then
#: anything without spaces, backslashes, control characters and a fragment, which is never sent. No `@` fits before
#: the path, so no credentials do.
CALLBACK_URL = (
    r"^[Hh][Tt][Tt][Pp][Ss]?://(?:[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9_.])?|\[[0-9A-Fa-f:.]{2,45}\])"
    r"(?::[0-9]{1,5})?(?:[/?][^\s\\#\x00-\x1f\x7f-\x9f\u2028\u2029]*)?$"
)

MAX_METADATA_BYTES = 4096

#: Every JSON reader and writer on the way takes this many levels; Python's own give up before 1,000.
MAX_METADATA_LEVELS = 100

#: How much of what was sent an error repeats, in characters.
MAX_SHOWN = 80

_WON = "takes a whole number of won such as 3000"
_DOLLARS = 'takes a string with two decimals such as "10.50"'
_LIMITS = ", above zero and at most 10^12"
#: What is said of an amount that its currency doesn't take, or that no currency does. These words, here and below, are
#: the SQL door's, too.
AMOUNT_RULES = {
    "KRW": f"KRW {_WON}{_LIMITS}",
    "USD": f"USD {_DOLLARS}{_LIMITS}",
    None: f"KRW {_WON}, USD {_DOLLARS}{_LIMITS}",
}
URL_RULE = (
    "takes an http or https URL with a host in ASCII, such as https://shop.example/hook, without credentials, "
    "fragment, spaces, backslashes and control characters"
)
HOST_RULE = "takes a port up to 65535, and in brackets only an IPv6 address"
SIZE_RULE = f"takes at most {MAX_METADATA_BYTES} bytes as JSON"
LEVELS_RULE = f"takes at most {MAX_METADATA_LEVELS} levels"
FINITE_RULE = "takes no NaN, no Infinity and no number beyond a double"
BEYOND_LIMITS = "a number beyond all limits"

_as_json = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode
_receipt_id = re.compile(RECEIPT_ID)
_usd_amount = re.compile(USD_AMOUNT)
_callback_url = re.compile(CALLBACK_URL)


def check_receipt_id(value: object) -> str:
    """Take a receipt's name where it comes without its document, before it becomes part of anything."""
    if isinstance(value, str) and _receipt_id.fullmatch(value):
        return value
    raise ValueError(f"takes a string of 1 to 64 of A-Z a-z 0-9 _ -, not {shown(value)}")


def check_amount(value: object, currency: str | None) -> int | str:
    """Take an integer for KRW, a string with two decimals for USD, either where the currency isn't known."""
    if type(value) is int and currency != "USD":
        if 0 < value <= MAX_AMOUNT:
            return value
    elif type(value) is str and currency != "KRW" and _usd_amount.fullmatch(value):
        return value
    raise ValueError(f"{AMOUNT_RULES.get(currency, AMOUNT_RULES[None])}, not {shown(value)}")


def check_callback_url(value: str) -> str:
    """Take a URL that could be posted to; whether its host may be is another's question."""
    if not _callback_url.fullmatch(value):
        raise ValueError(URL_RULE)
    try:
        parts = urlsplit(value)
        parts.port  # noqa: B018 - reading it checks that it is below 65536
        if parts.netloc.startswith("["):
            ipaddress.IPv6Address(parts.hostname or "")
    except ValueError:
        raise ValueError(HOST_RULE) from None
    return value


def check_metadata(value: object) -> dict[str, Any]:
    """Take a small JSON object and give a copy of its own, which nobody else can change."""
    if not isinstance(value, dict):
        raise ValueError(f"takes an object, not {_kind(value)}")  # noqa: TRY004 - pydantic collects ValueErrors
    _check_nodes(value)
    try:
        text = _as_json(value)
    except ValueError:  # an integer with more digits than Python writes out
        raise ValueError(SIZE_RULE) from None
    size = len(text.encode("utf-8"))
    if size > MAX_METADATA_BYTES:
        raise ValueError(f"{SIZE_RULE}, not {size}")
    copied: dict[str, Any] = json.loads(text)
    return copied


def _check_nodes(metadata: dict[Any, Any]) -> None:
    """Walk through everything once, without recursion; no more nodes are looked at than could fit."""
    pending: list[tuple[object, int]] = [(metadata, 1)]
    looked_at = 0
    while pending:
        node, level = pending.pop()
        looked_at += 1
        if looked_at > MAX_METADATA_BYTES:
            raise ValueError(SIZE_RULE)
        if isinstance(node, dict | list):
            if level > MAX_METADATA_LEVELS:
                raise ValueError(LEVELS_RULE)
            if len(node) > MAX_METADATA_BYTES:
                raise ValueError(SIZE_RULE)
            pending.extend((child, level + 1) for child in _children(node))
        else:
            _check_leaf(node)


def _children(node: dict[Any, Any] | list[Any]) -> list[Any]:
    if isinstance(node, list):
        return node
    if not all(isinstance(key, str) for key in node):
        raise ValueError("takes only strings as keys")
    return [*node, *node.values()]


def _check_leaf(leaf: object) -> None:
    if isinstance(leaf, str):
        if "\x00" in leaf:
            raise ValueError("takes no U+0000")
        if any("\ud800" <= character <= "\udfff" for character in leaf):
            raise ValueError("takes no lone surrogates (U+D800 to U+DFFF)")
    elif isinstance(leaf, float):
        if not math.isfinite(leaf):
            raise ValueError(FINITE_RULE)
    elif leaf is not None and not isinstance(leaf, int):
        raise ValueError(f"takes only what JSON has, not {_kind(leaf)}")


def shown(value: object) -> str:
    """Repeat what was sent in at most 80 printable characters, as JSON spells it where it can."""
    if isinstance(value, str):
        return repr(value[:MAX_SHOWN])[:MAX_SHOWN]
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int | float) and abs(value) < 10**MAX_SHOWN // 10:
        return repr(value)[:MAX_SHOWN]
    return BEYOND_LIMITS if isinstance(value, int | float) else _kind(value)


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", tuple: "a list", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), f"a value of type {type(value).__name__}"[:MAX_SHOWN])
