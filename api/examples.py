"""What `/openapi.json` shows as examples: the contract's receipt, on its way and at its end."""

from typing import Any

from api import cursors

ORDER = {
    "receipt_id": "5afd6be8e13f33616f2876ac",
    "order_id": "order-1001",
    "amount": 3000,
    "currency": "KRW",
    "items": [{"sku": "tee-black-m", "quantity": 2}],
    "callback_url": "https://shop.example/hooks/payconfirm",
    "metadata": {"cart": "c-77"},
}
RECEIVED = {
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
CONFIRMED = RECEIVED | {
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
_EVENT = {
    "specversion": "1.0",
    "id": "01942f5e-7a3b-7c1d-9e2f-5a6b7c8d9e0f",
    "source": "payconfirm",
    "type": "payconfirm.confirmed",
    "subject": "5afd6be8e13f33616f2876ac",
    "time": "2026-11-23T01:00:01.234567Z",
    "datacontenttype": "application/json",
    "sequence": 1,
    "data": CONFIRMED,
}
#: A cursor as they look.
CURSOR = cursors.write(484)
_CALLBACK = {
    "id": _EVENT["id"],
    "receipt_id": "5afd6be8e13f33616f2876ac",
    "sequence": 1,
    "type": "payconfirm.confirmed",
    "endpoint": "https://shop.example/hooks/payconfirm",
    "state": "failed",
    "attempts": 8,
    "due_at": None,
    "last_status": 500,
    "last_error": "answered 500",
    "created_at": "2026-11-23T01:00:01.234567Z",
    "tried_at": "2026-11-24T08:12:40.000000Z",
    "delivered_at": None,
    "failing_since": "2026-11-23T01:00:02.000000Z",
    "paused_at": None,
}
TRACE = CONFIRMED | {
    "items": {"tee-black-m": 2},
    "created_at": "2026-11-23T01:00:00.123456Z",
    "due_at": None,
    "leased_until": None,
    "steps": [
        {
            "at": "2026-11-23T01:00:00.456789Z",
            "seconds": 0.0,
            "attempt": 1,
            "phase": "verify",
            "seen": "ready",
            "decided": "reserve",
            "detail": "",
            "stale": False,
        }
    ],
    "events": [
        {
            "sequence": 1,
            "type": "payconfirm.confirmed",
            "id": _EVENT["id"],
            "at": "2026-11-23T01:00:01.234567Z",
            "published_at": "2026-11-23T01:00:01.345678Z",
        }
    ],
    "callbacks": [_CALLBACK],
}
_LETTER = {
    "id": "b5b2b4ce-5f57-4a36-9c1b-1f0e4f0a9d5c",
    "at": "2026-11-23T01:00:00.123456Z",
    "source": "celery",
    "reason": "amount: is missing",
    "receipt_id": "5afd6be8e13f33616f2876ac",
    "raw_base64": "e30=",
}
_DONE = {"message": "5afd6be8e13f33616f2876ac is looked at as soon as a worker is free", "result": RECEIVED}
_SHELF = {"sku": "tee-black-m", "available": 8, "held": 2, "sold": 40}
#: One server-sent event.
STREAMED = f'id: {CURSOR}\nevent: payconfirm.confirmed\ndata: {{"specversion": "1.0", …}}\n\n'
METRICS_TEXT = '# TYPE payconfirm_confirmations gauge\npayconfirm_confirmations{state="received"} 2.0\n'

#: By the names by which answers refer to them.
EXAMPLES: dict[str, Any] = {
    "order": ORDER,
    "received": RECEIVED,
    "confirmed": CONFIRMED,
    "events": {"events": [_EVENT], "next": CURSOR},
    "trace": TRACE,
    "done": _DONE,
    "shelf": _SHELF,
    "dead_letters": [_LETTER],
    "callbacks": [_CALLBACK],
    "sent_again": {"message": f"{_EVENT['id']} is sent again"},
    "void": {"restock": True},
    "resolve": {"as": "rejected", "force": True},
    "stock": {"available": 100},
}
