"""Whether the process lives, and whether what it needs answers."""

from functools import cache
from typing import Any

from fastapi import APIRouter, Request
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from api import openapi
from api.door import door_of
from api.problems import RETRY_AFTER_SECONDS, Problem
from confirmation.errors import ConfirmationError
from worker.store.engine import named_errors
from worker.store.migrations import installed, newest

router = APIRouter(tags=["health"])


@router.get("/healthz", summary="Whether the process lives")
async def healthz() -> dict[str, str]:
    """Answer, without asking anybody else."""
    return {"status": "alive"}


@router.get("/readyz", summary="Whether what it needs answers", **openapi.READY)
async def readyz(request: Request) -> dict[str, Any]:
    """200 when the database answers and has the schema that this code needs, else 503.

    Redis is reported and no more: without it the door keeps its word, and results are only heard of later.
    """
    door = door_of(request)
    try:
        database = await door.ready.run(_database, door.engine)
    except ConfirmationError:
        database = "away"
    parts: dict[str, Any] = {"database": database, "redis": "ok" if door.hearing.connected else "away"}
    if database != "ok":
        headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
        raise Problem(503, f"The database is not ready: {database}.", headers=headers, **parts)
    return {"status": "ready"} | parts


def _database(engine: Engine) -> str:
    """A newer schema than this code needs is fine: a deploy migrates before it replaces processes."""
    try:
        with named_errors():
            revision = installed(engine)
    except (ConfirmationError, SQLAlchemyError):
        return "away"
    return "ok" if revision is not None and revision >= _needed() else "not migrated"


@cache
def _needed() -> str:
    return newest()
