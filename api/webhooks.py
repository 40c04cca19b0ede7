"""The gateway's webhooks: a hint to look at a receipt that is known here. Nothing in the body is believed.

So anybody may send one, unless WEBHOOK_SOURCES says otherwise: one for a receipt that isn't known changes no row and
makes no call.

The v1 body carries the shop's private key, so no body is ever logged.
"""

import json
from typing import Annotated, Any
from urllib.parse import parse_qs

import structlog
from fastapi import APIRouter, Depends, Request, Response

from api import openapi
from api.bodies import read_body
from api.door import Door, door_of
from api.problems import Problem
from payconfirm.checks import check_receipt_id

log = structlog.get_logger(__name__)

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])


@router.post("/bootpay", summary="Bootpay's webhook, v1 and v2", **openapi.WEBHOOK)
async def bootpay(request: Request, door: Annotated[Door, Depends(door_of)]) -> Response:
    """Have the receipt looked up if it is known; answer what Bootpay takes for a yes either way."""
    host = request.client.host if request.client else None
    if not door.sources.allow(host):
        log.info("webhook.refused", source=host)
        raise Problem(403, f"Webhooks aren't taken from {host}: WEBHOOK_SOURCES doesn't name it.")
    receipt_id = _receipt_id(await read_body(request))
    if receipt_id is not None:
        await _ask(door, receipt_id)
    if door.api == "v1":
        return Response("OK", media_type="text/plain")
    return Response('{"success": true}', media_type="application/json")


async def _ask(door: Door, receipt_id: str) -> None:
    """Have it looked at. Whoever is writing its row is waited for, apart from all others.

    Raises `StoreBusy` where that takes too long: Bootpay sends the webhook again.
    """
    if not await door.hooks.run(door.ledger.ask_if_free, receipt_id):
        await door.in_line.run(door.ledger.ask, receipt_id)


def _receipt_id(body: bytes) -> str | None:
    """Which receipt it is about; None where nobody can tell."""
    try:
        return check_receipt_id(_named(body))
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _named(body: bytes) -> Any:  # noqa: ANN401 — anything that JSON has
    """What a body names, JSON or a form, whatever type is said of it."""
    try:
        return json.loads(body)["receipt_id"]
    except ValueError:
        (named,) = parse_qs(body.decode())["receipt_id"]
        return named
