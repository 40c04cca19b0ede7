"""The order document: what every door takes, and what is wrong with it when it is refused.

`OrderDocument` states the rules; each field's description is both the JSON Schema's and the error's. `read_document`
is the way in.
"""

import copy
import json
import math
import re
from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from payconfirm.checks import (
    CALLBACK_URL,
    MAX_AMOUNT,
    MAX_METADATA_BYTES,
    MAX_URL_LENGTH,
    RECEIPT_ID,
    USD_AMOUNT,
    check_amount,
    check_callback_url,
    check_metadata,
    shown,
)
from payconfirm.errors import FieldError, InvalidOrder

__all__ = ["OrderDocument", "OrderLine", "minor_units", "read_document"]

#: Text without control characters (U+0000 to 1F, 7F to 9F) and line separators (U+2028/9).
PLAIN_TEXT = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]+$"

#: As the contract says. One SKU can so reach 10^8, which fits in a 32-bit integer.
MAX_LINES = 100
MAX_QUANTITY = 1_000_000

#: As the contract says of the HTTP door; the largest right document has about a third of it.
MAX_BYTES = 64 * 1024

#: An integer longer than this can't be right anywhere in a document: metadata holds no more bytes than that.
#: Python refuses to read more than 4,300 digits, and would do so without saying which field it was.
MAX_DIGITS = MAX_METADATA_BYTES

_FROZEN = ConfigDict(strict=True, frozen=True, extra="forbid")


class OrderLine(BaseModel):
    """One line of the order; lines of one SKU are added up."""

    model_config = _FROZEN

    sku: Annotated[
        str,
        Field(
            min_length=1,
            max_length=128,
            pattern=PLAIN_TEXT,
            description="a string of 1 to 128 characters without control characters",
        ),
    ]
    quantity: Annotated[int, Field(ge=1, le=MAX_QUANTITY, description="a whole number from 1 to 1000000")]


class OrderDocument(BaseModel):
    """One confirmation as a producer asks for it. Unknown fields are refused; null only for `callback_url`."""

    model_config = _FROZEN

    receipt_id: Annotated[str, Field(pattern=RECEIPT_ID, description="a string of 1 to 64 of A-Z a-z 0-9 _ -")]
    order_id: Annotated[
        str,
        Field(
            min_length=1,
            max_length=64,
            pattern=PLAIN_TEXT,
            description="a string of 1 to 64 characters without control characters",
        ),
    ]
    # Before `amount`, whose check has to know it.
    currency: Annotated[Literal["KRW", "USD"], Field(description='"KRW" (the default) or "USD"')] = "KRW"
    amount: Annotated[
        int | str,
        Field(
            description="for KRW a whole number of won such as 3000, for USD a string with two decimals such as "
            '"10.50"; above zero, at most 10^12',
            json_schema_extra={
                "anyOf": [
                    {"type": "integer", "minimum": 1, "maximum": MAX_AMOUNT},
                    {"type": "string", "pattern": USD_AMOUNT},
                ]
            },
        ),
    ]
    items: Annotated[
        tuple[OrderLine, ...],
        Field(max_length=MAX_LINES, description="a list of at most 100 lines, each an object with sku and quantity"),
    ] = ()
    callback_url: Annotated[
        Annotated[str, Field(max_length=MAX_URL_LENGTH, json_schema_extra={"pattern": CALLBACK_URL})] | None,
        Field(
            description="null, or an http or https URL of at most 2048 characters with a host in ASCII, without "
            "credentials, fragment, spaces, backslashes and control characters",
        ),
    ] = None
    metadata: Annotated[
        dict[str, Any],
        Field(
            default_factory=dict,
            description="an object of at most 4096 bytes as JSON, at most 100 levels deep, without U+0000, lone "
            "surrogates, NaN and Infinity",
        ),
    ]

    @field_validator("amount", mode="plain")
    @classmethod
    def _amount_fits_its_currency(cls, value: object, info: ValidationInfo) -> int | str:
        return check_amount(value, info.data.get("currency"))

    @field_validator("items", mode="before")
    @classmethod
    def _items_are_a_list(cls, value: object) -> object:
        """Make what doesn't change out of a JSON list, and leave everything else to be refused.

        Too long a list is refused here: pydantic counts only the lines that are right.
        """
        if not isinstance(value, list):
            return value
        if len(value) > MAX_LINES:
            raise ValueError(f"takes {RULES['items']}, not {len(value)}")
        return tuple(map(_with_printable_names, value))

    @field_validator("callback_url", mode="after")
    @classmethod
    def _callback_url_has_the_shape_of_one(cls, value: str | None) -> str | None:
        return None if value is None else check_callback_url(value)

    @field_validator("metadata", mode="plain", json_schema_input_type=dict[str, Any])
    @classmethod
    def _metadata_is_small_json(cls, value: object) -> dict[str, Any]:
        return check_metadata(value)

    def as_dict(self) -> dict[str, Any]:
        """Give the document as JSON has it, defaults filled in; the caller may change what it gets."""
        return {
            "receipt_id": self.receipt_id,
            "order_id": self.order_id,
            "amount": self.amount,
            "currency": self.currency,
            "items": [{"sku": line.sku, "quantity": line.quantity} for line in self.items],
            "callback_url": self.callback_url,
            "metadata": copy.deepcopy(self.metadata),
        }

    def summed_items(self) -> dict[str, int]:
        """Add up the lines of one SKU: at most 10^8 of each."""
        sums: dict[str, int] = {}
        for line in self.items:
            sums[line.sku] = sums.get(line.sku, 0) + line.quantity
        return sums


def read_document(value: object) -> OrderDocument:
    """Read a mapping or JSON text, or raise `InvalidOrder` with the list of all that is wrong."""
    if isinstance(value, OrderDocument):
        return value
    repeated: list[str] = []
    if isinstance(value, str | bytes | bytearray):
        value = _parse(value, repeated)
    errors: list[FieldError] = [{"field": _name(key), "message": "stands there twice"} for key in repeated]
    document = None
    try:
        document = OrderDocument.model_validate(_with_printable_names(value))
    except ValidationError as refused:
        errors += _all_that_is_wrong(refused)
    if document is None or errors:
        raise InvalidOrder.of(errors)
    return document


def minor_units(amount: int | str, currency: str) -> int:
    """Give a document's amount as a whole number of the smallest unit: won for KRW, cents for USD."""
    checked = check_amount(amount, currency)
    return checked if isinstance(checked, int) else int(checked.replace(".", ""))


def _parse(text: str | bytes | bytearray, repeated: list[str]) -> object:
    """Read JSON text (bytes: UTF-8), noting every key that an object has twice."""

    def as_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            counted = Counter(key for key, _ in pairs)
            repeated.extend(key for key in found if counted[key] > 1)
        return found

    if len(text) > MAX_BYTES:
        raise InvalidOrder.of([{"field": "document", "message": TOO_MANY_BYTES}])
    try:
        decoded = text if isinstance(text, str) else text.decode("utf-8")
        return json.loads(decoded, object_pairs_hook=as_object, parse_int=_whole_number)
    except RecursionError:
        flaw = "is nested too deeply"
    except UnicodeDecodeError:
        flaw = "is not UTF-8"
    except json.JSONDecodeError as unreadable:
        flaw = f"is not JSON: {unreadable.msg} at character {unreadable.pos}"
    raise InvalidOrder.of([{"field": "document", "message": flaw}])


def _whole_number(digits: str) -> int | float:
    return int(digits) if len(digits) <= MAX_DIGITS else math.inf


#: What each field takes, an object as a whole, and what is said of a field that there is none of.
RULES: dict[str | int, str] = {
    name: str(field.description) for model in (OrderDocument, OrderLine) for name, field in model.model_fields.items()
}

LINE_RULE = "an object with sku and quantity"
DOCUMENT_RULE = "a JSON object"
UNKNOWN_FIELD = "is not a field of an order document"
TOO_MANY_BYTES = f"has more than {MAX_BYTES} bytes"

#: Not repeated in an error: an address can hold a password.
_NEVER_SHOWN = "callback_url"


def _all_that_is_wrong(refused: ValidationError) -> list[FieldError]:
    return [
        {"field": ".".join(map(_name, error["loc"])) or "document", "message": _message(error)}
        for error in refused.errors(include_url=False)
    ]


def _message(error: Any) -> str:  # noqa: ANN401 - pydantic's ErrorDetails, whose parts depend on the type
    """Say what is wrong and what would be right."""
    where = error["loc"][-1] if error["loc"] else ""
    if error["type"] == "extra_forbidden":
        return UNKNOWN_FIELD
    if error["type"] == "value_error":
        return str(error["ctx"]["error"])
    rule = RULES.get(where, LINE_RULE if where != "" else DOCUMENT_RULE)
    if error["type"] == "missing":
        return f"is missing: takes {rule}"
    return f"takes {rule}" if where == _NEVER_SHOWN else f"takes {rule}, not {shown(error['input'])}"


def _with_printable_names(value: object) -> object:
    """Give an object names that every error can repeat; a known field's name stays what it is."""
    return {_name(key): part for key, part in value.items()} if isinstance(value, Mapping) else value


def _name(part: str | int) -> str:
    """Give a field's name as one printable word, however odd it is."""
    return re.sub(r"[^\w.-]", "?", str(part))[:80]
