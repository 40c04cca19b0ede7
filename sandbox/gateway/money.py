"""Amounts are decimals from the first byte to the last: read from JSON or forms, written as JSON numbers."""

import json
import re
import secrets
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

#: The smallest step of an amount. Only these currencies are served.
STEPS = {"KRW": Decimal(1), "USD": Decimal("0.01")}
#: The same ceiling as the order document's.
LARGEST = Decimal(10) ** 12
#: Marks a decimal inside a JSON string until its quotes are taken off; random, so that no client can send it.
MARK = secrets.token_hex(8)
MARKED = re.compile(f'"{MARK}([0-9.-]+){MARK}"')


def read_amount(value: object, currency: str) -> Decimal:
    """Return the amount in whole steps of its currency, or raise ValueError saying what is wrong with it."""
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        raise ValueError("an amount is a number, or a string of one")  # noqa: TRY004 - what callers catch
    try:
        amount = Decimal(value)
    except InvalidOperation:
        raise ValueError(f"not an amount: {value!r}") from None
    if not amount.is_finite() or abs(amount) > LARGEST:
        raise ValueError(f"not a usable amount: {value!r}")
    whole = amount.quantize(STEPS[currency])
    if whole != amount:
        raise ValueError(f"{currency} has no steps smaller than {STEPS[currency]}: {value!r}")
    return whole


def number(amount: Decimal) -> int | Decimal:
    """Return what `write_json` puts out as this amount's number: `3000`, `10.50`."""
    return int(amount) if amount.as_tuple().exponent == 0 else amount


def read_json(body: bytes) -> Any:  # noqa: ANN401 - JSON is anything
    """Read JSON with decimals in place of floats; raise ValueError on anything that isn't strict JSON."""
    return json.loads(body, parse_float=Decimal, parse_constant=_no_constant)


def write_json(document: object) -> bytes:
    """Write a document in UTF-8, decimals as plain JSON numbers with all their digits."""
    text = json.dumps(document, ensure_ascii=False, default=_marked)
    if MARK in text:
        text = MARKED.sub(r"\1", text)
    return text.encode("utf-8", "surrogatepass")


def _marked(value: object) -> str:
    if isinstance(value, Decimal):
        return f"{MARK}{value:f}{MARK}"
    raise TypeError(f"not JSON: {type(value).__name__}")


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"not JSON: {name}")
