"""What `/openapi.json` says beyond what the routes' code says by itself: both documents, errors, examples."""

import json
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api.problems import Problem
from payconfirm.errors import FieldError
from payconfirm.schema import order_schema, result_schema

_ORDER = {
    "receipt_id": "5afd6be8e13f33616f2876ac",
    "order_id": "order-1001",
    "amount": 3000,
    "currency": "KRW",
    "items": [{"sku": "tee-black-m", "quantity": 2}],
    "callback_url": "https://shop.example/hooks/payconfirm",
    "metadata": {"cart": "c-77"},
}
_RECEIVED = {
    "receipt_id": "5afd6be8e13f33616f2876ac",
    "order_id": "order-1001",
    "state": "received",
    "final": False,
    "reason": None,
    "message": "",
    "amount": 3000,
    "currency": "KRW",
    "payment": None,
    "attempts": 0,
    "sequence": 0,
    "updated_at": "2026-11-23T01:00:00.123456Z",
    "metadata": {"cart": "c-77"},
}
_CONFIRMED = _RECEIVED | {
    "state": "confirmed",
    "final": True,
    "payment": {
        "method": "card",
        "purchased_at": "2026-11-23T10:00:01+09:00",
        "receipt_url": "https://receipts.example/5afd6be8",
    },
    "attempts": 1,
    "sequence": 1,
    "updated_at": "2026-11-23T01:00:01.234567Z",
}
_PROBLEM_SCHEMA: dict[str, Any] = {
    "title": "Problem",
    "description": "RFC 9457",
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {
            "description": "all that is wrong, with a 422",
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "message"],
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
}
_KEY = {"type": "http", "scheme": "bearer", "description": "a key of API_KEYS or OPERATOR_KEYS"}


#: FastAPI leaves nulls out of what it describes, so examples are referred to and added at the end.
_EXAMPLES = {"order": _ORDER, "received": _RECEIVED, "confirmed": _CONFIRMED}


def _document(schema: str, example: str) -> dict[str, Any]:
    return {
        "application/json": {
            "schema": {"$ref": f"#/components/schemas/{schema}"},
            "examples": {example: {"$ref": f"#/components/examples/{example}"}},
        }
    }


def _result(description: str, example: str) -> dict[str, Any]:
    return {"description": description, "content": _document("ResultDocument", example)}


def _problem(status: int, detail: str, errors: Sequence[FieldError] = (), **more: Any) -> dict[str, Any]:  # noqa: ANN401 — JSON
    schema = {"$ref": "#/components/schemas/Problem"}
    example = Problem(status, detail, errors=errors, **more).document
    content = {"application/problem+json": {"schema": schema, "example": example}}
    return {"description": example["title"], "content": content}


_NO_KEY = _problem(401, "This needs a key: Authorization: Bearer <key>.")
_AWAY = _problem(503, "The database gives no answer. Send the same request again.")
_LOCATION = {"description": "where the result is", "schema": {"type": "string"}}

POST: dict[str, Any] = {
    "status_code": 202,
    "responses": {
        202: _result("Accepted: the database has it", "received") | {"headers": {"Location": _LOCATION}},
        200: _result("The same document, already final", "confirmed"),
        401: _NO_KEY,
        409: _problem(409, "The receipt is used by a different order document; nothing was changed."),
        413: _problem(413, "A document has at most 65536 bytes."),
        415: _problem(415, "Send JSON: Content-Type: application/json."),
        422: _problem(
            422,
            "The order document breaks a rule; nothing was changed.",
            errors=[{"field": "order_id", "message": "is missing: takes a string of 1 to 64 characters"}],
        ),
        429: _problem(429, "This key posts faster than 100 a second; nothing was accepted."),
        503: _AWAY,
    },
    "openapi_extra": {
        "security": [{"key": []}],
        "requestBody": {"required": True, "content": _document("OrderDocument", "order")},
    },
}

GET: dict[str, Any] = {
    "responses": {
        200: _result("How it stands", "confirmed"),
        401: _NO_KEY,
        404: _problem(404, "This receipt isn't known here, or its message still waits in the broker."),
        422: _problem(
            422,
            "The request breaks a rule; nothing was changed.",
            errors=[{"field": "wait", "message": "Input should be less than or equal to 30"}],
        ),
        503: _AWAY,
    },
    "openapi_extra": {"security": [{"key": []}]},
}

READY: dict[str, Any] = {
    "responses": {503: _problem(503, "The database is not ready: away.", database="away", redis="ok")}
}


def describe(app: FastAPI) -> dict[str, Any]:
    """Give the whole description."""
    described = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    components = described.setdefault("components", {})
    components["securitySchemes"] = {"key": _KEY}
    components["examples"] = {name: {"value": value} for name, value in _EXAMPLES.items()}
    components.setdefault("schemas", {}).update(_schemas())
    return described


def _schemas() -> dict[str, Any]:
    """Both documents' schemas, with their parts where OpenAPI looks for them."""
    schemas: dict[str, Any] = {"Problem": _PROBLEM_SCHEMA}
    for name, schema in (("OrderDocument", order_schema()), ("ResultDocument", result_schema())):
        moved = json.loads(json.dumps(schema).replace("#/$defs/", "#/components/schemas/"))
        schemas |= moved.pop("$defs", {})
        moved.pop("$schema")
        schemas[name] = moved
    return schemas
