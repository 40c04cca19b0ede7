"""Writes the JSON Schemas of both documents: `python -m payconfirm.schema [folder]`."""

import json
import sys
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from payconfirm.document import OrderDocument
from payconfirm.result import ResultDocument

DIALECT = "https://json-schema.org/draft/2020-12/schema"

#: What a field's own schema can't say: the currency, which may be left out, decides what an amount looks like.
_AMOUNT_FOLLOWS_CURRENCY = {
    "if": {"properties": {"currency": {"const": "USD"}}, "required": ["currency"]},
    "then": {"properties": {"amount": {"type": "string"}}},
    "else": {"properties": {"amount": {"type": "integer"}}},
}

#: What JSON Schema can't say at all, told to those who read it.
_BEYOND = (
    "Beyond this schema: 3000.0 is no integer here; a key stands only once in its object; a port is at most 65535; "
    "metadata has at most 4096 bytes as JSON; no lone surrogates anywhere."
)


def order_schema() -> dict[str, Any]:
    """Give the JSON Schema of the order document."""
    schema = OrderDocument.model_json_schema()
    schema["description"] = f"{schema['description']} {_BEYOND}"
    return {"$schema": DIALECT, **schema, **_AMOUNT_FOLLOWS_CURRENCY}


def result_schema() -> dict[str, Any]:
    """Give the JSON Schema of the result document."""
    return {"$schema": DIALECT, **TypeAdapter(ResultDocument).json_schema()}


SCHEMAS = {"order.json": order_schema, "result.json": result_schema}


def as_text(schema: dict[str, Any]) -> str:
    """Write a schema as it stands in its file."""
    return json.dumps(schema, ensure_ascii=False, indent=2) + "\n"


def write(folder: Path) -> None:
    """Write every schema into the folder, which is made where it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, schema in SCHEMAS.items():
        (folder / name).write_text(as_text(schema()), encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/schemas"))
