"""The feed: every event in an order that never skips a late commit, page by page or as it grows."""

from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response
from starlette.responses import StreamingResponse

from api import cursors, openapi
from api.answers import json_answer
from api.door import door_of
from api.keys import Caller

router = APIRouter(prefix="/v1/events", tags=["events"])

MOST_AT_ONCE = 1000

After = Annotated[
    str | None,
    Query(description="the cursor to read on from: `next` of the answer before; without it, from the beginning"),
]
Limit = Annotated[int, Query(ge=1, le=MOST_AT_ONCE, description="how many events at most")]
LastEventId = Annotated[
    str | None, Header(description="the cursor of the last event that was read; goes before `after`")
]


@router.get("", summary="Read events", **openapi.EVENTS)
async def events(request: Request, _: Caller, after: After = None, limit: Limit = 100) -> Response:
    """Give the next events after the cursor, the oldest first, and the cursor to go on from. Never waits."""
    place = cursors.place_of("after", after)
    door = door_of(request)
    placed = await door.aside.run(door.feed.read, place, limit)
    last = placed[-1].place if placed else place
    return json_answer({"events": [event for _, event in placed], "next": cursors.write(last)})


@router.get("/stream", summary="Follow events", response_class=StreamingResponse, **openapi.STREAM)
async def stream(request: Request, _: Caller, after: After = None, last_event_id: LastEventId = None) -> Response:
    """Give the same as server-sent events, and each further one as it comes."""
    place = cursors.place_of("Last-Event-ID", last_event_id) if last_event_id else cursors.place_of("after", after)
    return StreamingResponse(
        door_of(request).following.frames(place),
        media_type="text/event-stream",
        headers={"X-Accel-Buffering": "no"},  # a proxy that gathers before it sends would hold events back
    )
