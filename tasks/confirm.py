"""The jobs of a receipt: `payconfirm.confirm` from producers, `payconfirm.again` from the sweep."""

import base64
import time
from functools import cache
from typing import Any
from uuid import UUID

import structlog
from celery import Task
from celery.exceptions import Reject
from celery.signals import celeryd_init

from confirmation.confirmation import Confirmation, Job
from confirmation.errors import ClaimLost, DifferentDocument, StoreBusy
from confirmation.order import Order
from confirmation.pipeline import LOCKED_DUE_SECONDS, confirm
from payconfirm import InvalidOrder, read_document
from payconfirm.checks import check_receipt_id
from tasks.patience import or_give_up, patiently
from worker import bootstrap
from worker.app import app, settings
from worker.broker.envelopes import RAW, receipt_in
from worker.broker.queues import AGAIN_TASK, CONFIRM_TASK
from worker.orders import to_order
from worker.store.dead_letters import DeadLetter

log = structlog.get_logger(__name__)

#: Of a reason so much is logged; the dead letter has all of it.
LOGGED_REASON = 2000


@cache
def parts() -> bootstrap.WorkerParts:
    """This process's parts. They connect when they are first used."""
    return bootstrap.build_worker(settings())


@celeryd_init.connect
def _build_the_parts(**_: object) -> None:
    """End a worker at its start, not at its first payment, where they can't be: the shop's hook isn't found, say."""
    parts()


@app.task(name=CONFIRM_TASK, bind=True, acks_late=True, ignore_result=True)
def confirm_payment(task: Task, *arguments: Any, **named: Any) -> None:  # noqa: ANN401 — whatever a producer sent
    """Confirm the payment of an order document, or keep what can't be used as a dead letter."""
    try:
        _carry_new(task, to_order(read_document(_only(arguments, named))))
    except (InvalidOrder, DifferentDocument) as refusal:
        _refuse(task, str(refusal))


@app.task(name=AGAIN_TASK, bind=True, acks_late=True, ignore_result=True)
def confirm_again(task: Task, *arguments: Any, **named: Any) -> None:  # noqa: ANN401 — as above
    """Look at a receipt that is due, if it is still as the sweep saw it."""
    try:
        job = _due(arguments, named)
        patiently(lambda: _carry_unless_busy(job))
    except (ValueError, LookupError) as wrong:
        _refuse(task, str(wrong))


def carry(job: Job) -> None:
    """Carry the receipt as far as it goes now, and say in one line how it stands."""
    started = time.monotonic()
    with structlog.contextvars.bound_contextvars(receipt_id=job.receipt_id):
        try:
            confirmation = confirm(job, parts().world)
        except ClaimLost as lost:
            log.warning("receipt.claim_lost", why=str(lost))
            return
        if confirmation is not None:
            _tell(confirmation, time.monotonic() - started)


def _carry_unless_busy(job: Job) -> None:
    """Carry it, or leave it to the next sweep: its row is due, and somebody may have it locked for long."""
    try:
        carry(job)
    except StoreBusy as busy:
        log.warning("receipt.busy", receipt_id=job.receipt_id, error=str(busy))


def _only(arguments: tuple[Any, ...], named: dict[str, Any]) -> object:
    if len(arguments) != 1 or named:
        raise InvalidOrder("document: send exactly one argument, the order document")
    return arguments[0]


def _due(arguments: tuple[Any, ...], named: dict[str, Any]) -> Job:
    """Read the sweep's own message. Raises `ValueError`."""
    if len(arguments) != 2 or named or not all(isinstance(argument, str | None) for argument in arguments):
        raise ValueError("send the receipt's id and the fence that was seen")
    receipt_id, fence = arguments
    return Job(check_receipt_id(receipt_id), fence=UUID(fence) if fence else None)


def _tell(confirmation: Confirmation, seconds: float) -> None:
    if confirmation.final:
        parts().hints.outbox()
    log.info(
        "receipt.carried",
        state=confirmation.state.value,
        attempt=confirmation.attempts,
        reason=confirmation.reason,
        seconds=round(seconds, 3),
    )


def _carry_new(task: Task, order: Order) -> None:
    """Carry it. Celery acknowledges what fails, so whatever happens there is a row afterwards, or a dead letter."""
    try:
        patiently(lambda: carry(Job(order.receipt_id, order)))
    except (DifferentDocument, Reject):
        raise
    except Exception as unforeseen:
        if not _has_row(order):
            _refuse(task, f"payconfirm failed over it: {type(unforeseen).__name__}")
        raise


def _has_row(order: Order) -> bool:
    """Make sure that there is a row, due soon if it is new. False where the database fails at that, too."""
    try:
        patiently(lambda: parts().world.store.keep(order, LOCKED_DUE_SECONDS))
    except Reject:
        raise
    except Exception as error:  # noqa: BLE001 — whatever it is, the document must be kept
        log.error("job.has_no_row", receipt_id=order.receipt_id, error=type(error).__name__)  # noqa: TRY400 — its text may repeat the document
        return False
    return True


def _refuse(task: Task, reason: str) -> None:
    """Keep what can't be used as a dead letter; where that fails, too, give the message up to the relay."""
    raw = base64.b64decode(getattr(task.request, RAW))
    letter = DeadLetter("celery", reason, raw, receipt_id=receipt_in(raw), task_id=task.request.id)
    or_give_up(lambda: parts().dead_letters.keep(letter))
    log.warning("job.refused", receipt_id=letter.receipt_id, reason=letter.reason[:LOGGED_REASON])
