"""What `/openapi.json` says beyond what the routes' code says by itself: documents, errors, keys, examples."""

import json
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from api import documents
from api.examples import CURSOR, EXAMPLES, METRICS_TEXT, STREAMED
from api.problems import Problem
from payconfirm.errors import FieldError
from payconfirm.schema import order_schema, result_schema

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
_KEYS = {
    "key": {"type": "http", "scheme": "bearer", "description": "a key of API_KEYS or OPERATOR_KEYS"},
    "operator": {"type": "http", "scheme": "bearer", "description": "a key of OPERATOR_KEYS"},
    "browser": {"type": "http", "scheme": "basic", "description": "any name; a key of OPERATOR_KEYS as the password"},
}
_MODELS = (
    documents.Events,
    documents.Trace,
    documents.Done,
    documents.Shelf,
    documents.Callback,
    documents.DeadLetter,
    documents.Said,
    documents.VoidBody,
    documents.ResolveBody,
    documents.StockBody,
)


def _document(schema: str, *examples: str, many: bool = False) -> dict[str, Any]:
    """Refer to a schema and to examples, which are added at the end: FastAPI leaves nulls out of what it describes."""
    named = {"$ref": f"#/components/schemas/{schema}"}
    return {
        "application/json": {
            "schema": {"type": "array", "items": named} if many else named,
            "examples": {example: {"$ref": f"#/components/examples/{example}"} for example in examples},
        }
    }


def _answer(description: str, schema: str, example: str, *, many: bool = False) -> dict[str, Any]:
    return {"description": description, "content": _document(schema, example, many=many)}


def _text(description: str, media_type: str, example: str) -> dict[str, Any]:
    return {"description": description, "content": {media_type: {"schema": {"type": "string"}, "example": example}}}


def _problem(status: int, detail: str, errors: Sequence[FieldError] = (), **more: Any) -> dict[str, Any]:  # noqa: ANN401 — JSON
    schema = {"$ref": "#/components/schemas/Problem"}
    example = Problem(status, detail, errors=errors, **more).document
    content = {"application/problem+json": {"schema": schema, "example": example}}
    return {"description": example["title"], "content": content}


def _invalid(field: str, message: str) -> dict[str, Any]:
    errors: list[FieldError] = [{"field": field, "message": message}]
    return _problem(422, "The request breaks a rule; nothing was changed.", errors=errors)


def _body(schema: str, example: str, *, required: bool = True) -> dict[str, Any]:
    return {"requestBody": {"required": required, "content": _document(schema, example)}}


_AWAY = {503: _problem(503, "The database gives no answer. Send the same request again.")}
_PRODUCERS = {401: _problem(401, "This needs a key: Authorization: Bearer <key>.")} | _AWAY
_ON_DUTY = {
    401: _problem(401, "This needs a key of OPERATOR_KEYS: Authorization: Bearer <key>."),
    403: _problem(403, "This needs a key of OPERATOR_KEYS; the one given is a producer's, of API_KEYS."),
} | _AWAY
_BODY = {
    413: _problem(413, "A document has at most 65536 bytes."),
    415: _problem(415, "Send JSON: Content-Type: application/json."),
}
_KEY: dict[str, Any] = {"security": [{"key": []}]}
_OPERATOR: dict[str, Any] = {"security": [{"operator": []}]}
_NO_RECEIPT = {404: _problem(404, "There is no receipt 5afd6be8e13f33616f2876ac here.")}
_LOCATION = {"description": "where the result is", "schema": {"type": "string"}}
_BAD_CURSOR = {422: _invalid("after", 'is no cursor: takes "next" of an answer, or the id of a server-sent event')}

POST: dict[str, Any] = {
    "status_code": 202,
    "responses": {
        202: _answer("Accepted: the database has it", "ResultDocument", "received")
        | {"headers": {"Location": _LOCATION}},
        200: _answer("The same document, already final", "ResultDocument", "confirmed"),
        409: _problem(409, "The receipt is used by a different order document; nothing was changed."),
        422: _problem(
            422,
            "The order document breaks a rule; nothing was changed.",
            errors=[{"field": "order_id", "message": "is missing: takes a string of 1 to 64 characters"}],
        ),
        429: _problem(429, "This key posts faster than 100 a second; nothing was accepted."),
    }
    | _PRODUCERS
    | _BODY,
    "openapi_extra": _KEY | _body("OrderDocument", "order"),
}
GET: dict[str, Any] = {
    "responses": {
        200: _answer("How it stands", "ResultDocument", "confirmed"),
        404: _problem(404, "This receipt isn't known here, or its message still waits in the broker."),
        422: _invalid("wait", "Input should be less than or equal to 30"),
    }
    | _PRODUCERS,
    "openapi_extra": _KEY,
}
EVENTS: dict[str, Any] = {
    "responses": {200: _answer("The next events", "Events", "events")} | _BAD_CURSOR | _PRODUCERS,
    "openapi_extra": _KEY,
}
STREAM: dict[str, Any] = {
    "responses": {200: _text("Events as they come; lines that begin with : say nothing", "text/event-stream", STREAMED)}
    | _BAD_CURSOR
    | _PRODUCERS,
    "openapi_extra": _KEY,
}
TRACE: dict[str, Any] = {
    "responses": {200: _answer("Its story", "Trace", "trace")} | _NO_RECEIPT | _ON_DUTY,
    "openapi_extra": _OPERATOR,
}
RETRY: dict[str, Any] = {
    "responses": {
        200: _answer("It is due now", "Done", "done"),
        409: _problem(409, "5afd6be8 is confirmed: it has ended well: there is nothing to look for"),
    }
    | _NO_RECEIPT
    | _ON_DUTY,
    "openapi_extra": _OPERATOR,
}
VOID: dict[str, Any] = {
    "responses": {
        200: _answer("The workers send back what was paid", "Done", "done"),
        409: _problem(409, "5afd6be8 is voided: its money is back already"),
        422: _invalid("restock", "Input should be a valid boolean: takes whether what was sold can be sold again"),
    }
    | _NO_RECEIPT
    | _ON_DUTY
    | _BODY,
    "openapi_extra": _OPERATOR | _body("VoidBody", "void", required=False),
}
RESOLVE: dict[str, Any] = {
    "responses": {
        200: _answer("It has ended", "Done", "done"),
        409: _problem(409, "5afd6be8 is received: nobody was asked about it: only what is in review is resolved"),
        422: _invalid("as", "Field required: takes how it ended"),
    }
    | _NO_RECEIPT
    | _ON_DUTY
    | _BODY,
    "openapi_extra": _OPERATOR | _body("ResolveBody", "resolve"),
}
STOCK: dict[str, Any] = {
    "responses": {200: _answer("Its shelf", "Shelf", "shelf"), 404: _problem(404, "This SKU was never in stock.")}
    | _ON_DUTY,
    "openapi_extra": _OPERATOR,
}
SET_STOCK: dict[str, Any] = {
    "responses": {
        200: _answer("Its shelf from now on", "Shelf", "shelf"),
        422: _invalid("available", "Field required: takes a whole number from 0 to 10^12"),
    }
    | _ON_DUTY
    | _BODY,
    "openapi_extra": _OPERATOR | _body("StockBody", "stock"),
}
_BAD_LIMIT = {422: _invalid("limit", "Input should be less than or equal to 1000")}
DEAD_LETTERS: dict[str, Any] = {
    "responses": {200: _answer("The newest first", "DeadLetter", "dead_letters", many=True)} | _BAD_LIMIT | _ON_DUTY,
    "openapi_extra": _OPERATOR,
}
CALLBACKS: dict[str, Any] = {
    "responses": {200: _answer("The newest first", "Callback", "callbacks", many=True)} | _BAD_LIMIT | _ON_DUTY,
    "openapi_extra": _OPERATOR,
}
RESEND: dict[str, Any] = {
    "status_code": 202,
    "responses": {
        202: _answer("It is sent again", "Said", "sent_again"),
        404: _problem(404, "There is no such callback."),
        409: _problem(409, "It is on its way at this moment: nothing was changed."),
    }
    | _ON_DUTY,
    "openapi_extra": _OPERATOR,
}
METRICS: dict[str, Any] = {
    "responses": {200: _text("Prometheus' text format", "text/plain", METRICS_TEXT)} | _ON_DUTY,
    "openapi_extra": _OPERATOR,
}
CONSOLE: dict[str, Any] = {
    "responses": {
        200: {"description": "A page", "content": {"text/html": {"schema": {"type": "string"}}}},
        422: _invalid("receipt", "String should have at most 64 characters"),
    }
    | _ON_DUTY,
    "openapi_extra": {"security": [{"operator": []}, {"browser": []}]},
}
_HOOKS = {
    "schema": {"description": "Bootpay's own; receipt_id is read, and nothing is refused"},
    "example": {"receipt_id": "5afd6be8e13f33616f2876ac"},
}
WEBHOOK: dict[str, Any] = {
    "responses": {
        200: {
            "description": 'Taken, whatever it says: OK where BOOTPAY_API is v1, {"success": true} where it is v2',
            "content": {
                "application/json": {"schema": {"type": "object"}, "example": {"success": True}},
                "text/plain": {"schema": {"type": "string"}, "example": "OK"},
            },
        },
        403: _problem(403, "Webhooks aren't taken from 203.0.113.7: WEBHOOK_SOURCES doesn't name it."),
        413: _problem(413, "A document has at most 65536 bytes."),
    }
    | _AWAY,
    "openapi_extra": {
        "requestBody": {"content": {"application/json": _HOOKS, "application/x-www-form-urlencoded": _HOOKS}}
    },
}
READY: dict[str, Any] = {
    "responses": {503: _problem(503, "The database is not ready: away.", database="away", redis="ok")}
}


def describe(app: FastAPI) -> dict[str, Any]:
    """Give the whole description."""
    described = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    components = described.setdefault("components", {})
    components["securitySchemes"] = _KEYS
    components["examples"] = {name: {"value": value} for name, value in EXAMPLES.items()}
    components["schemas"] = _schemas()
    for path in described["paths"].values():
        for operation in path.values():
            _complete(operation)
    return described


def _complete(operation: dict[str, Any]) -> None:
    """Leave out what FastAPI adds to whatever has a parameter, and say what every one of a kind looks like."""
    answer = operation["responses"].get("422", {})
    if "HTTPValidationError" in json.dumps(answer):
        del operation["responses"]["422"]
    for parameter in operation.get("parameters", ()):
        if parameter["name"] in _PARAMETERS:
            parameter["example"] = _PARAMETERS[parameter["name"]]


_PARAMETERS = {
    "receipt_id": "5afd6be8e13f33616f2876ac",
    "receipt": "5afd6be8e13f33616f2876ac",
    "sku": "tee-black-m",
    "callback_id": "01942f5e-7a3b-7c1d-9e2f-5a6b7c8d9e0f",
    "after": CURSOR,
    "last-event-id": CURSOR,
    "wait": 25,
    "limit": 100,
    "state": "failed",
}


def _schemas() -> dict[str, Any]:
    """Give every schema, with its parts where OpenAPI looks for them."""
    _, told = models_json_schema(
        [(model, "validation") for model in _MODELS], by_alias=True, ref_template="#/components/schemas/{model}"
    )
    schemas: dict[str, Any] = {"Problem": _PROBLEM_SCHEMA} | told["$defs"]
    for name, schema in (("OrderDocument", order_schema()), ("ResultDocument", result_schema())):
        moved = json.loads(json.dumps(schema).replace("#/$defs/", "#/components/schemas/"))
        schemas |= moved.pop("$defs", {})
        moved.pop("$schema")
        schemas[name] = moved
    return schemas
