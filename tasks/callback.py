"""The job of a callback: `payconfirm.callback`, sent by the relay alone, run by the process of callbacks."""

import base64
from functools import cache
from typing import Any
from uuid import UUID

import structlog
from celery import Task

from tasks.dead_letter import dead_letters
from tasks.patience import patiently
from worker import bootstrap
from worker.app import app, settings
from worker.broker.envelopes import RAW
from worker.broker.queues import CALLBACK_TASK
from worker.store.dead_letters import DeadLetter

log = structlog.get_logger(__name__)


@cache
def parts() -> bootstrap.CallbackParts:
    """This process's parts, built when its first message comes."""
    return bootstrap.build_callbacks(settings())


@app.task(name=CALLBACK_TASK, bind=True, acks_late=True, ignore_result=True)
def call_back(task: Task, *arguments: Any, **named: Any) -> None:  # noqa: ANN401 — whatever is in the queue
    """Deliver the callback that the message names, if it is still as the relay saw it."""
    try:
        callback_id, fence = _read(arguments, named)
    except ValueError as wrong:
        _refuse(task, str(wrong))
        return
    if parts().delivery.carry(callback_id, fence, patiently):
        parts().hints.callbacks()


def _read(arguments: tuple[Any, ...], named: dict[str, Any]) -> tuple[UUID, UUID]:
    """Read the relay's own message. Raises `ValueError`."""
    if len(arguments) != 2 or named or not all(isinstance(argument, str) for argument in arguments):
        raise ValueError("send the callback's id and the fence that was seen")
    callback_id, fence = arguments
    return UUID(callback_id), UUID(fence)


def _refuse(task: Task, reason: str) -> None:
    """Keep what can't be used as a dead letter."""
    letter = DeadLetter("celery", reason, base64.b64decode(getattr(task.request, RAW)))
    patiently(lambda: dead_letters().keep(letter))
    log.warning("message.unusable", reason=reason)
