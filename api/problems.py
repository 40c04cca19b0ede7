"""Errors as the door tells them: `application/problem+json` (RFC 9457), and nothing in them that is secret."""

import json
import traceback
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from confirmation.errors import DifferentDocument, StoreBusy, StoreUnavailable
from payconfirm import InvalidOrder
from payconfirm.errors import FieldError

log = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"

#: Long enough for a database to answer again, short enough for a buyer who waits.
RETRY_AFTER_SECONDS = 2

_AWAY = "The database gives no answer. Send the same request again: the same document is never charged twice."
_FAILED = "Something went wrong here; it was written down. Sending the same document again is harmless."


class Problem(Exception):
    """What a request is refused with."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
        **more: object,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.headers = headers
        title = HTTPStatus(status).phrase
        self.document: dict[str, Any] = {"type": "about:blank", "title": title, "status": status, "detail": detail}
        self.document |= more
        if errors:
            self.document["errors"] = list(errors)

    def answer(self) -> Response:
        """Give the response that says it."""
        body = json.dumps(self.document, ensure_ascii=False).encode()
        return Response(body, self.status, self.headers, MEDIA_TYPE)


def install(app: FastAPI, routers: Iterable[APIRouter]) -> None:
    """Have every error of this application told as a problem."""
    app.add_middleware(Unforeseen)
    methods = _methods(routers)
    for error, tell in _TOLD.items():
        app.add_exception_handler(error, _handler(tell, methods))


def _methods(routers: Iterable[APIRouter]) -> dict[str, str]:
    """Every method of each path; a route knows its own only."""
    found: dict[str, set[str]] = {}
    for router in routers:
        for route in router.routes:
            found.setdefault(route.path, set()).update(route.methods)  # type: ignore[attr-defined]
    return {path: ", ".join(sorted(methods)) for path, methods in found.items()}


class Unforeseen:
    """Answers 500 where nothing else did, and logs where it happened but not the error's text.

    A database error's text repeats the values of its statement, which are the shop's.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        started = False

        async def sending(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except ClientDisconnect:
            return
        except Exception as error:  # its text must not reach uvicorn's log
            if scope["type"] != "http":
                raise
            frames = traceback.format_tb(error.__traceback__)
            log.error("web.failed", error=type(error).__name__, path=scope["path"], where="".join(frames))  # noqa: TRY400
            if not started:
                await Problem(500, _FAILED).answer()(scope, receive, send)


def _invalid(error: InvalidOrder) -> Problem:
    return Problem(422, "The order document breaks a rule; nothing was changed.", errors=error.errors)


def refused(*errors: FieldError) -> Problem:
    """Give the problem of a request with these flaws."""
    return Problem(422, "The request breaks a rule; nothing was changed.", errors=errors)


def _wrong_parameter(error: RequestValidationError) -> Problem:
    errors: list[FieldError] = [
        {"field": str(wrong["loc"][-1]), "message": str(wrong["msg"])} for wrong in error.errors()
    ]
    return refused(*errors)


def _different(_: DifferentDocument) -> Problem:
    return Problem(409, "The receipt is used by a different order document; nothing was changed.")


def _away(_: StoreBusy | StoreUnavailable) -> Problem:
    return Problem(503, _AWAY, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})


def _plain(error: HTTPException) -> Problem:
    return Problem(error.status_code, error.detail, headers=error.headers)


_TOLD: dict[type[Exception], Any] = {
    Problem: lambda problem: problem,
    InvalidOrder: _invalid,
    RequestValidationError: _wrong_parameter,
    DifferentDocument: _different,
    StoreBusy: _away,
    StoreUnavailable: _away,
    HTTPException: _plain,
}


def _handler(tell: Any, methods: Mapping[str, str]) -> Any:  # noqa: ANN401 — each takes its own error
    async def handle(request: Request, error: Exception) -> Response:
        problem: Problem = tell(error)
        path = getattr(request.scope.get("route"), "path", None)
        if problem.status == 405 and isinstance(path, str) and path in methods:
            problem.headers = {"Allow": methods[path]}
        return problem.answer()

    return handle
