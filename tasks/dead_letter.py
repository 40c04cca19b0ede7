"""The job that keeps what nobody can run. The guard in front of the consumer makes it; no producer sends it."""

import base64
from functools import cache

import structlog

from tasks.patience import or_give_up
from worker import bootstrap
from worker.app import app, settings
from worker.broker.envelopes import receipt_in
from worker.broker.queues import DEAD_LETTER_TASK
from worker.store.dead_letters import DeadLetter, DeadLetters

log = structlog.get_logger(__name__)


@cache
def dead_letters() -> DeadLetters:
    """The table, whatever else this process does."""
    return DeadLetters(bootstrap.build_engine(settings()))


@app.task(name=DEAD_LETTER_TASK, acks_late=True, ignore_result=True)
def keep_dead_letter(reason: str, raw_base64: str, task_id: str | None) -> None:
    """Keep the message as it was, with what is wrong with it."""
    raw = base64.b64decode(raw_base64)
    letter = DeadLetter("celery", reason, raw, receipt_id=receipt_in(raw), task_id=task_id)
    or_give_up(lambda: dead_letters().keep(letter))
    log.warning("message.unusable", reason=reason)
