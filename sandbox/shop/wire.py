"""What is read from a request of our page, and how an answer looks."""

import hashlib
import json
from http import HTTPStatus
from typing import Any

from aiohttp import web

#: The browser's session. Its orders are shown to it alone.
SESSION_COOKIE = "session"


async def read_body(request: web.Request) -> dict[str, Any]:
    """Read a JSON object that our own page sent: another site's can't say that it is JSON without asking first."""
    if request.content_type != "application/json":
        raise problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send application/json")
    if request.headers.get("Origin") not in (None, f"{request.scheme}://{request.host}"):
        raise problem(HTTPStatus.FORBIDDEN, "another site's page can't buy here")
    try:
        body = await request.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise problem(HTTPStatus.BAD_REQUEST, "the body must be a JSON object")
    return body


def browser_of(request: web.Request) -> str:
    """Name the browser's session without keeping what opens it."""
    return hashlib.sha256(request.cookies.get(SESSION_COOKIE, "").encode()).hexdigest()


def as_json(body: object, status: HTTPStatus = HTTPStatus.OK) -> web.Response:
    """Answer with JSON, which nobody keeps."""
    return web.json_response(body, status=status, headers={"Cache-Control": "no-store"})


def problem(status: HTTPStatus, message: str) -> web.HTTPException:
    """Make the exception that answers with this status, and says why."""
    refusal = web.HTTPException(text=json.dumps({"error": message}), content_type="application/json")
    refusal.set_status(status)
    return refusal


def as_event(news: dict[str, Any]) -> bytes:
    """Write a server-sent event."""
    return f"data: {json.dumps(news)}\n\n".encode()
