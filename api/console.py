"""The console: one page without scripts for people on duty, which shows and changes nothing.

A browser asks for a name, any, and for a key of OPERATOR_KEYS as the password. It sends that with every request to this
host from then on, whoever caused it; so here nothing can be changed, and everywhere else such a key opens nothing.
"""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import HTMLResponse

from api import openapi
from api.door import Door, door_of
from api.keys import Watcher
from api.page import LISTED, House, page
from api.style import HEADERS
from confirmation.errors import StoreBusy, StoreUnavailable

router = APIRouter(tags=["on duty"])

Wanted = Annotated[str, Query(max_length=64, description="a receipt_id or an order_id, whose story is shown")]

_AWAY = "The database gives no answer, or not in time; what is missing here couldn't be read."


@router.get("/console", summary="A page for people on duty", response_class=HTMLResponse, **openapi.CONSOLE)
async def console(request: Request, _: Watcher, receipt: Wanted = "") -> HTMLResponse:
    """Show how things stand, what people are asked about, and one receipt's story."""
    house, asked = House(), receipt.strip()
    try:
        await door_of(request).aside.run(_read, door_of(request), asked, house)
    except (StoreBusy, StoreUnavailable):
        house.wrong = _AWAY
    return HTMLResponse(page(house, asked), headers=HEADERS)


def _read(door: Door, asked: str, house: House) -> None:
    """Read one part after the other, so that what was read before the database went away is shown."""
    if asked:
        _find(door, asked, house)
    house.measures = door.measures.read()
    house.review = door.measures.in_review(LISTED)
    house.callbacks = door.desk.callbacks.listed("failed", LISTED)
    house.paused = door.desk.callbacks.paused()
    house.letters = door.desk.letters.newest(LISTED)


def _find(door: Door, asked: str, house: House) -> None:
    try:
        house.told = door.desk.find(asked)
    except ValueError as wrong:
        house.wrong = f"There is no such receipt or order: it {wrong}."
        return
    if not house.told:
        house.wrong = f"There is no receipt and no order {asked} here."
