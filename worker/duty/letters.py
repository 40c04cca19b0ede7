"""What the document in a dead letter says, as far as it can be read: what a person knows the payment by."""

import base64
from typing import Any, NamedTuple

from confirmation.order import Money
from payconfirm.checks import check_amount, shown
from payconfirm.document import minor_units
from worker.broker.envelopes import document_in
from worker.duty.showing import money

#: As long as an order_id can be.
_MOST_SHOWN = 64
#: A good message has some 200 KB at most; a thousand letters are read at once.
_LONGEST = 256 * 1024


#: A reason names every field that is wrong, which may be thousands; the JSON has all of it.
_MOST_SAID = 1000


class Known(NamedTuple):
    """What was read; empty where there is nothing, or nothing that can be read."""

    order_id: str = ""
    amount: str = ""


def read(letter: dict[str, Any]) -> Known:
    """Read the letter's document, whatever is wrong with it: in Celery's envelope, as its body, or alone."""
    raw = base64.b64decode(letter["raw_base64"])
    document = document_in(raw) if len(raw) <= _LONGEST else None
    if document is None:
        return Known()
    order_id, amount = document.get("order_id"), document.get("amount")
    return Known(
        "" if order_id is None else order_id[:_MOST_SHOWN] if isinstance(order_id, str) else shown(order_id),
        "" if amount is None else _amount(amount, document.get("currency", "KRW")),
    )


def why(letter: dict[str, Any]) -> str:
    """Say why it can't be used, at a length that people read."""
    reason: str = letter["reason"]
    return reason if len(reason) <= _MOST_SAID else f"{reason[:_MOST_SAID]}…"


def _amount(amount: object, currency: object) -> str:
    """The amount as people read it where it is one, else as it was sent."""
    if not isinstance(currency, str):
        return shown(amount)
    try:
        return money(Money(minor_units(check_amount(amount, currency), currency), currency))
    except (ValueError, KeyError):  # the latter for a currency that there isn't
        return f"{shown(amount)} {currency[:_MOST_SHOWN]}"
