"""Reading what was posted, and no more of it than can be right."""

from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError

from api.problems import Problem, refused
from payconfirm.errors import FieldError

Model = TypeVar("Model", bound=BaseModel)

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


async def posted(request: Request, model: type[Model], *, optional: bool = False) -> Model:
    """Read a small JSON object, or refuse it with all that is wrong. An optional one may be left out."""
    body = b"" if optional and not _has_body(request) else await read_json_body(request)
    try:
        return model.model_validate_json(body or (b"{}" if optional else b""))
    except ValidationError as invalid:
        errors = invalid.errors(include_url=False, include_input=False)
        raise refused(*(_flaw(model, error) for error in errors)) from None


def _has_body(request: Request) -> bool:
    return "transfer-encoding" in request.headers or request.headers.get("content-length", "0") != "0"


def _flaw(model: type[BaseModel], error: Any) -> FieldError:  # noqa: ANN401 — pydantic's own shape
    fields = {field.alias or name: field.description for name, field in model.model_fields.items()}
    named = str(error["loc"][0]) if error["loc"] else ""
    if named in fields:
        return {"field": named, "message": f"{error['msg']}: takes {fields[named]}"}
    right = f"takes an object with {' and '.join(fields)}"
    return {"field": named or "body", "message": f"isn't known here: {right}" if named else f"{error['msg']}: {right}"}


def _too_large() -> Problem:
    return Problem(413, f"A document has at most {MOST_BYTES} bytes.")
