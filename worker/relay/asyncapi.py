"""Writes the AsyncAPI document of the events: `python -m worker.relay.asyncapi [file]`."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter

from confirmation.events import EventType, cloud_event, timestamp
from payconfirm.result import ResultDocument
from payconfirm.schema import as_text
from worker.relay.events import CONTENT_TYPE, EXCHANGE

FILE = Path("docs/asyncapi.json")
#: Of what is told: the first number is for what breaks a consumer that reads tolerantly.
VERSION = "1.0.0"

#: When each is told, and which state its document shows.
_WHEN = {
    EventType.CONFIRMED: ("confirmed", "Paid, and the stock is sold: ship it."),
    EventType.REJECTED: ("rejected", "Final, no money moved. A payment that is found paid later is voided."),
    EventType.VOIDED: ("voided", "Final, the money went back."),
    EventType.REVIEW: ("review", "Undecided, people are asked. Another event follows."),
    EventType.DRIFT: ("confirmed", "Confirmed here, and somebody cancelled it at the gateway. Told once."),
}
_REASONS = {"rejected": "declined", "voided": "late_approval", "review": "gateway_unclear"}

_ABOUT = (
    "Every result, and every question to people, as CloudEvents 1.0. At least once, and in order for each receipt: "
    "drop repeats by id, and a sequence that isn't above the last one of its receipt. docs/events.md has the rest."
)
_REF = "#/components/schemas/"


def document() -> dict[str, Any]:
    """Give the document."""
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "payconfirm's events", "version": VERSION, "description": _ABOUT},
        "defaultContentType": CONTENT_TYPE,
        "servers": {
            "redis": _server("redis.example:6379", "redis", "The default, through kombu.") | {"pathname": "/0"},
            "rabbitmq": _server("rabbitmq.example:5672", "amqp", "With publisher confirms.") | {"pathname": "/"},
        },
        "channels": {_name(kind): _channel(kind) for kind in EventType},
        "operations": {f"tell_{_name(kind)}": _operation(kind) for kind in EventType},
        "components": {
            "messages": {_name(kind): _message(kind) for kind in EventType},
            "schemas": _schemas(),
        },
    }


def _name(kind: EventType) -> str:
    return kind.removeprefix("payconfirm.")


def _server(host: str, protocol: str, description: str) -> dict[str, Any]:
    return {"host": host, "protocol": protocol, "description": f"EVENTS_URL. {description}"}


def _channel(kind: EventType) -> dict[str, Any]:
    exchange = {"name": EXCHANGE.name, "type": EXCHANGE.type, "durable": True, "autoDelete": False, "vhost": "/"}
    return {
        "address": kind.value,
        "title": f"Routing key {kind}",
        "description": f"Bind a durable queue to the {EXCHANGE.type} exchange {EXCHANGE.name}.",
        "servers": [{"$ref": "#/servers/redis"}, {"$ref": "#/servers/rabbitmq"}],
        "messages": {_name(kind): {"$ref": f"#/components/messages/{_name(kind)}"}},
        "bindings": {"amqp": {"is": "routingKey", "exchange": exchange, "bindingVersion": "0.3.0"}},
    }


def _operation(kind: EventType) -> dict[str, Any]:
    return {
        "action": "send",
        "channel": {"$ref": f"#/channels/{_name(kind)}"},
        "summary": _WHEN[kind][1],
        "messages": [{"$ref": f"#/channels/{_name(kind)}/messages/{_name(kind)}"}],
        "bindings": {"amqp": {"deliveryMode": 2, "bindingVersion": "0.3.0"}},
    }


def _message(kind: EventType) -> dict[str, Any]:
    return {
        "name": kind.value,
        "title": _name(kind).capitalize(),
        "summary": _WHEN[kind][1],
        "contentType": CONTENT_TYPE,
        "payload": {"$ref": _REF + _name(kind)},
        "examples": [{"name": _name(kind), "payload": _example(kind)}],
    }


def _schemas() -> dict[str, Any]:
    result = TypeAdapter(ResultDocument).json_schema(ref_template=_REF + "{model}")
    return {
        **{_name(kind): _payload(kind) for kind in EventType},
        "Event": _envelope(),
        **result.pop("$defs"),
        "ResultDocument": result,
    }


def _payload(kind: EventType) -> dict[str, Any]:
    data = {"type": "object", "properties": {"state": {"const": _WHEN[kind][0]}}}
    return {"allOf": [{"$ref": f"{_REF}Event"}, {"properties": {"type": {"const": kind.value}, "data": data}}]}


def _envelope() -> dict[str, Any]:
    properties = {
        "specversion": {"const": "1.0"},
        "id": {"type": "string", "format": "uuid", "description": "UUIDv7; the same in a repeat: drop repeats by it"},
        "source": {"const": "payconfirm"},
        "type": {"enum": [kind.value for kind in EventType]},
        "subject": {"type": "string", "description": "the receipt_id"},
        "time": {"type": "string", "format": "date-time", "description": "UTC"},
        "datacontenttype": {"const": "application/json"},
        "sequence": {"type": "integer", "minimum": 1, "description": "counts the receipt's events"},
        "data": {"$ref": f"{_REF}ResultDocument"},
    }
    return {
        "type": "object",
        "description": "CloudEvents 1.0 JSON. Read it tolerantly: fields may be added.",
        "properties": properties,
        "required": [*properties],
        "additionalProperties": True,
    }


def _example(kind: EventType) -> dict[str, Any]:
    at, state = datetime(2026, 11, 23, 1, 0, 1, 234567, tzinfo=UTC), _WHEN[kind][0]
    payment = {"method": "카드", "purchased_at": "2026-11-23T10:00:01+09:00", "receipt_url": "https://pg.example/r/1"}
    result = {
        "receipt_id": "62afc88ecf9f6d001b7d1e36",
        "order_id": "order-1",
        "state": state,
        "final": state != "review",
        "reason": _REASONS.get(state),
        "message": "",
        "amount": 3000,
        "currency": "KRW",
        "payment": payment if state == "confirmed" else None,
        "attempts": 1,
        "sequence": 1,
        "updated_at": timestamp(at),
        "metadata": {"cart": "7"},
    }
    return cloud_event(UUID("019aae3f-6d2d-7000-8000-000000000001"), kind.value, at, result)


if __name__ == "__main__":
    Path(sys.argv[1] if len(sys.argv) > 1 else FILE).write_text(as_text(document()), encoding="utf-8")
