"""What people on duty look through: callbacks that went wrong, and what nobody could use."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response

from api import openapi
from api.answers import json_answer
from api.door import door_of
from api.keys import Operator
from payconfirm.checks import RECEIPT_ID

router = APIRouter(prefix="/v1", tags=["on duty"])

Limit = Annotated[int, Query(ge=1, le=1000, description="how many at most, the newest first")]
CallbackState = Annotated[
    Literal["pending", "delivered", "failed", "paused"] | None, Query(description="only those in this state")
]
OfReceipt = Annotated[str | None, Query(pattern=RECEIPT_ID, description="only this receipt's")]


@router.get("/dead-letters", summary="What nobody could use", **openapi.DEAD_LETTERS)
async def dead_letters(request: Request, _: Operator, limit: Limit = 100) -> Response:
    """Give what came in and nobody could use, the newest first, with its raw bytes."""
    door = door_of(request)
    return json_answer(await door.aside.run(door.desk.letters.newest, limit))


@router.get("/callbacks", summary="What became of callbacks", **openapi.CALLBACKS)
async def callbacks(
    request: Request, _: Operator, state: CallbackState = None, receipt_id: OfReceipt = None, limit: Limit = 100
) -> Response:
    """Give callbacks, the newest first, of one state or of all, of one receipt or of all."""
    door = door_of(request)
    return json_answer(await door.aside.run(door.desk.callbacks.listed, state, limit, receipt_id))


@router.post("/callbacks/{callback_id}/resend", summary="Send a callback again", **openapi.RESEND)
async def resend(request: Request, callback_id: str, _: Operator) -> Response:
    """Have a callback sent again now, with all its tries anew, and its endpoint no longer paused for it."""
    door = door_of(request)
    return json_answer(await door.aside.run(door.desk.resend, callback_id), 202)
