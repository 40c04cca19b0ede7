"""Reading what was posted, and no more of it than can be right."""

from fastapi import Request

from api.problems import Problem

#: The contract's limit. The largest right order document has about a third of it.
MOST_BYTES = 64 * 1024


async def read_json_body(request: Request) -> bytes:
    """Read the raw JSON: 415 for another type, 413 beyond 64 KiB.

    The type is asked for so that no web page can post here from a browser without asking first.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise Problem(415, "Send JSON: Content-Type: application/json.")
    return await read_body(request)


async def read_body(request: Request) -> bytes:
    """Read what was posted: 413 beyond 64 KiB, whether or not its length was said before."""
    if int(request.headers.get("content-length", 0)) > MOST_BYTES:
        raise _too_large()
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            raise _too_large()
    return bytes(body)


def _too_large() -> Problem:
    return Problem(413, f"A document has at most {MOST_BYTES} bytes.")
