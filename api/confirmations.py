"""Confirmations: hand an order document in, ask what became of it."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from api import openapi
from api.answers import as_json
from api.bodies import read_json_body
from api.door import door_of
from api.keys import Caller
from api.problems import Problem
from payconfirm.checks import check_receipt_id

router = APIRouter(prefix="/v1/confirmations", tags=["confirmations"])

#: As the contract says; what stands between may cut a longer one off.
LONGEST_WAIT_SECONDS = 30

Wait = Annotated[
    float,
    Query(
        ge=0,
        le=LONGEST_WAIT_SECONDS,
        allow_inf_nan=False,
        description="how many seconds to wait for a final result",
    ),
]


@router.post("", summary="Have a payment confirmed", **openapi.POST)
async def post(request: Request, caller: Caller) -> Response:
    """Take an order document: the row exists when this answers, and the rest goes on by itself."""
    door = door_of(request)
    door.rate.take(caller)
    taken = await door.threads.run(door.intake.take, await read_json_body(request))
    if taken.final:
        return _result(taken.body)
    return _result(taken.body, status=202, headers={"Location": f"{router.prefix}/{taken.receipt_id}"})


@router.get("/{receipt_id}", summary="Ask for the result", **openapi.GET)
async def get(request: Request, receipt_id: str, _: Caller, wait: Wait = 0) -> Response:
    """Answer at once when the result is final, else how it stands after at most `wait` seconds."""
    door = door_of(request)
    document = await door.waiting.result(known_receipt_id(receipt_id), wait)
    if document is None:
        raise Problem(404, "This receipt isn't known here, or its message still waits in the broker.")
    return _result(as_json(document))


def known_receipt_id(receipt_id: str) -> str:
    """Give the id of a receipt that there may be; 404 for any other, which goes no further."""
    try:
        return check_receipt_id(receipt_id)
    except ValueError as wrong:
        raise Problem(404, f"There is no such receipt: receipt_id {wrong}.") from None


def _result(body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(body, status, headers, "application/json")
