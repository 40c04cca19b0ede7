"""Single fields of an answer, checked: what money depends on is right or raises, what is only shown may be absent."""

from datetime import datetime, timedelta, timezone
from decimal import Decimal

from confirmation.order import EXPONENTS, Money

Document = dict[str, object]

KST = timezone(timedelta(hours=9))
#: Above every amount that an order may have; bounds what a number with a huge exponent can cost.
_LARGEST = Decimal(10) ** 15
_MOST_DIGITS = 28
_LONGEST_MESSAGE = 500
_LONGEST_URL = 2048


class OddAnswer(ValueError):
    """The answer isn't shaped as the gateway's documents say."""


def is_whole(value: object) -> bool:
    """Whether it is a JSON integer; a boolean is none."""
    return isinstance(value, int) and not isinstance(value, bool)


def whole(document: Document, name: str) -> int:
    """Return an integer that must be there."""
    value = document.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise OddAnswer(name)
    return value


def text(document: Document, name: str) -> str:
    """Return a string that must be there."""
    value = document.get(name)
    if not isinstance(value, str):
        raise OddAnswer(name)
    return value


def number(document: Document, name: str, default: Decimal | None = None) -> Decimal:
    """Return a number; `default` stands for one that is absent or null."""
    value = document.get(name)
    if value is None and default is not None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise OddAnswer(name)
    decimal = Decimal(value)
    if decimal.adjusted() > _MOST_DIGITS or abs(decimal) > _LARGEST or len(decimal.as_tuple().digits) > _MOST_DIGITS:
        raise OddAnswer(name)
    return decimal


def currency(document: Document, name: str) -> str:
    """Return the currency; where the gateway names none it is the won, as in v1's answers to a submit.

    If that is ever wrong the amount doesn't match the order's: nothing is believed and the receipt is looked up.
    """
    value = document.get(name)
    return "KRW" if value is None else text(document, name).upper()


def money(amount: Decimal, unit: str) -> Money | None:
    """Return the amount, or None for a currency that we don't know or a fraction of its smallest unit."""
    if unit not in EXPONENTS:
        return None
    try:
        return Money.of(amount, unit)
    except ValueError:
        return None


def cancelled(document: Document, unit: str) -> int:
    """Return what went back in the smallest unit; never 0 when anything did."""
    amount = number(document, "cancelled_price", Decimal(0))
    if amount < 0:
        raise OddAnswer("cancelled_price")
    known = money(amount, unit)
    return known.minor if known else max(1, int(amount))


def shown(document: Document, name: str, longest: int = _LONGEST_MESSAGE) -> str:
    """Return a string for people, empty where there is none, without characters that a database can't keep."""
    value = document.get(name)
    if not isinstance(value, str):
        return ""
    return "".join(each if each.isprintable() else " " for each in value[:longest]).strip()


def web_address(document: Document, name: str) -> str | None:
    """Return an http(s) address, or None: a result is shown on other people's pages."""
    value = shown(document, name, _LONGEST_URL)
    return value if value.startswith(("https://", "http://")) else None


def korean_time(document: Document, name: str) -> str | None:
    """Return a time as ISO 8601 with its zone; one without is Korean, as v1's are."""
    try:
        time = datetime.fromisoformat(shown(document, name))
    except ValueError:
        return None
    return (time if time.tzinfo else time.replace(tzinfo=KST)).isoformat()
