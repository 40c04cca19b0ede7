"""Stock, as people on duty see and set it."""

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from pydantic import ValidationError

from api import openapi
from api.answers import json_answer
from api.bodies import posted
from api.documents import StockBody
from api.door import door_of
from api.keys import Operator
from api.problems import Problem, refused
from payconfirm.document import OrderLine

router = APIRouter(prefix="/v1/stock", tags=["on duty"])

Sku = Annotated[str, Path(description="a SKU as the order document names it; a slash in it stays as it is")]


@router.get("/{sku:path}", summary="What there is of a SKU", **openapi.STOCK)
async def show(request: Request, sku: Sku, _: Operator) -> Response:
    """Give what can be sold, what is held for open receipts, and what was sold."""
    door = door_of(request)
    shelf = await door.aside.run(door.desk.shelf, sku) if _flaw(sku) is None else None
    if shelf is None:
        raise Problem(404, "This SKU was never in stock.")
    return json_answer(shelf)


@router.put("/{sku:path}", summary="Set what there is of a SKU", **openapi.SET_STOCK)
async def put(request: Request, sku: Sku, by: Operator) -> Response:
    """Make so many available, beside what is held and sold; the difference is written down."""
    door = door_of(request)
    body = await posted(request, StockBody)
    if flaw := _flaw(sku):
        raise refused({"field": "sku", "message": flaw})
    return json_answer(await door.aside.run(door.desk.set_stock, sku, body.available, by))


def _flaw(sku: str) -> str | None:
    """Say what is wrong with a SKU, by the order document's own rule."""
    try:
        OrderLine(sku=sku, quantity=1)
    except ValidationError:
        return f"takes {OrderLine.model_fields['sku'].description}"
    return None
