"""The HTTP door as an application: `create_app(settings)`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

from fastapi import FastAPI

from api import confirmations, health, openapi, problems, webhooks
from api.door import build
from config.settings import Settings


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
    app.include_router(confirmations.router)
    app.include_router(webhooks.router)
    app.include_router(health.router)
    problems.install(app)
    return app


def _described_once(app: FastAPI) -> Any:  # noqa: ANN401 — FastAPI's own hook
    return cache(lambda: openapi.describe(app))
