"""For people on duty: a receipt's story, and what they do to it."""

from functools import partial

from fastapi import APIRouter, Request, Response

from api import openapi
from api.answers import json_answer
from api.bodies import posted
from api.confirmations import known_receipt_id
from api.documents import ResolveBody, VoidBody
from api.door import door_of
from api.keys import Operator
from confirmation.states import State

router = APIRouter(prefix="/v1/confirmations/{receipt_id}", tags=["on duty"])


@router.get("/trace", summary="A receipt's story", **openapi.TRACE)
async def trace(request: Request, receipt_id: str, _: Operator) -> Response:
    """Tell who tried what when, what the gateway said, why it ended as it did."""
    door = door_of(request)
    return json_answer(await door.aside.run(door.desk.trace, known_receipt_id(receipt_id)))


@router.post("/retry", summary="Have it looked at now", **openapi.RETRY)
async def retry(request: Request, receipt_id: str, by: Operator) -> Response:
    """Have a receipt looked at as soon as a worker is free; 409 where it has ended well, or was voided."""
    door = door_of(request)
    return json_answer(await door.aside.run(door.desk.retry, known_receipt_id(receipt_id), by))


@router.post("/void", summary="Send its money back", **openapi.VOID)
async def void(request: Request, receipt_id: str, by: Operator) -> Response:
    """Send the money of a confirmed receipt, or of one in review, back to the buyer; 409 for any other."""
    door = door_of(request)
    body = await posted(request, VoidBody, optional=True)
    voided = partial(door.desk.void, known_receipt_id(receipt_id), by, restock=body.restock)
    return json_answer(await door.aside.run(voided))


@router.post("/resolve", summary="Say how it ended", **openapi.RESOLVE)
async def resolve(request: Request, receipt_id: str, by: Operator) -> Response:
    """End a receipt in review: by the gateway's word, else by yours; 409 where it stays in review."""
    door = door_of(request)
    body = await posted(request, ResolveBody)
    resolved = partial(door.desk.resolve, known_receipt_id(receipt_id), State(body.end), by, force=body.force)
    return json_answer(await door.resolving.run(resolved))
