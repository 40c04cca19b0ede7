"""The ways an answer can go out: as it should, late, cut, slowly, or not at all."""

import asyncio
import math
from collections.abc import Awaitable, Callable

from aiohttp import web

from sandbox.gateway.money import write_json
from sandbox.gateway.speaking import Answer

JSON_TYPE = "application/json; charset=utf-8"
#: Above the 1 MiB at which a careful client stops reading.
PADDING = "x" * (1024 * 1024 + 64 * 1024)

#: How an answer is sent; the number is the fault's `seconds`.
Send = Callable[[web.Request, Answer, float], Awaitable[web.StreamResponse]]


def as_json(answer: Answer) -> web.Response:
    """Write an answer as it should be."""
    return _response(answer, write_json(answer.document))


async def plainly(_request: web.Request, answer: Answer, _seconds: float) -> web.StreamResponse:
    """Send it at once."""
    return as_json(answer)


async def late(_request: web.Request, answer: Answer, seconds: float) -> web.StreamResponse:
    """Send it after a wait."""
    await asyncio.sleep(seconds)
    return as_json(answer)


async def with_retry_after(_request: web.Request, answer: Answer, seconds: float) -> web.StreamResponse:
    """Send it with the number of seconds after which to come back."""
    response = as_json(answer)
    response.headers["Retry-After"] = str(math.ceil(seconds))
    return response


async def never(request: web.Request, answer: Answer, _seconds: float) -> web.StreamResponse:
    """Close the connection without a byte."""
    if request.transport:
        request.transport.close()
    return as_json(answer)


async def as_html(_request: web.Request, _answer: Answer, _seconds: float) -> web.StreamResponse:
    """Send what a proxy in front sends when nobody behind it answers."""
    page = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
    return web.Response(status=502, text=page, content_type="text/html")


async def as_prose(_request: web.Request, answer: Answer, _seconds: float) -> web.StreamResponse:
    """Send words that claim to be JSON."""
    return _response(answer, "잠시 후 다시 시도해 주세요.".encode())


async def halved(_request: web.Request, answer: Answer, _seconds: float) -> web.StreamResponse:
    """Send the first half of the JSON as a whole answer."""
    body = write_json(answer.document)
    return _response(answer, body[: len(body) // 2])


async def padded(_request: web.Request, answer: Answer, _seconds: float) -> web.StreamResponse:
    """Send the true answer with so much beside it that it is over 1 MiB."""
    document = answer.document
    blown_up = {**document, "padding": PADDING} if isinstance(document, dict) else [*document, PADDING]
    return _response(answer, write_json(blown_up))


async def in_drops(request: web.Request, answer: Answer, seconds: float) -> web.StreamResponse:
    """Send the true answer byte by byte, with a wait before each."""
    body = write_json(answer.document)
    headers = {"Content-Type": JSON_TYPE, "Content-Length": str(len(body))}
    response = web.StreamResponse(status=answer.status, headers=headers)
    await response.prepare(request)
    for byte in body:
        await asyncio.sleep(seconds)
        try:
            await response.write(bytes([byte]))
        except ConnectionError:
            break  # the caller has had enough
    return response


def _response(answer: Answer, body: bytes) -> web.Response:
    return web.Response(status=answer.status, body=body, headers={"Content-Type": JSON_TYPE})
