"""The HTTP door as an application: `create_app(settings)`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

from fastapi import FastAPI

from api import (
    confirmations,
    console,
    events,
    health,
    lists,
    metrics,
    openapi,
    operators,
    problems,
    stock,
    webhooks,
)
from api.door import build
from api.passing import Passing, Requests
from config.settings import Settings

ROUTERS = tuple(
    part.router for part in (confirmations, operators, events, stock, lists, webhooks, health, metrics, console)
)


def create_app(settings: Settings) -> FastAPI:
    """Build the application. Nothing connects before it is served."""
    door = build(settings)

    @asynccontextmanager
    async def opened(_: FastAPI) -> AsyncIterator[None]:
        async with door.opened():
            yield

    app = FastAPI(
        title="payconfirm",
        version="1",
        description="Confirms payments on the server. Errors are problem+json.",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=opened,
    )
    app.state.door = door
    app.openapi = _described_once(app)  # type: ignore[method-assign]
    app.state.requests = Requests()
    for router in ROUTERS:
        app.include_router(router)
    problems.install(app, ROUTERS)
    app.add_middleware(Passing, app.state.requests)
    return app


def _described_once(app: FastAPI) -> Any:  # noqa: ANN401 — FastAPI's own hook
    return cache(lambda: openapi.describe(app))
