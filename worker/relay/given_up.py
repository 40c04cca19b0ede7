"""What the broker gave up delivering: a good document gets its row after all, everything else is kept as a dead letter.

So a message that ends whatever worker takes it stops nobody for long, and its innocent neighbours, which came back as
often, lose nothing. It is acknowledged only once its row, or its dead letter, is committed; taken twice it is kept
once.
"""

from contextlib import suppress
from itertools import islice
from uuid import NAMESPACE_OID, uuid5

import structlog
from celery import Celery
from kombu import Connection
from kombu.exceptions import OperationalError

from confirmation.errors import DifferentDocument
from confirmation.order import Order
from confirmation.pipeline import LOCKED_DUE_SECONDS
from payconfirm import InvalidOrder, read_document
from payconfirm.checks import check_receipt_id
from worker.broker.dead import READ_BYTES, Dead, from_rabbitmq, from_redis
from worker.broker.envelopes import CeleryJob, Unusable, read_id, read_job, receipt_in
from worker.broker.queues import AGAIN_TASK, CALLBACK_TASK, CONFIRM_TASK, FROM_OUTSIDE, BrokerAway
from worker.broker.topology import declare
from worker.orders import to_order
from worker.store.dead_letters import DeadLetter, DeadLetters
from worker.store.ledger import Ledger
from worker.store.reading import Reading

log = structlog.get_logger(__name__)

#: So many in one turn.
BATCH = 100
_CONNECT = {"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0}


class GivenUp:
    """Takes messages from the queue that every other queue of ours ends in."""

    def __init__(self, app: Celery, ledger: Ledger, reading: Reading, letters: DeadLetters) -> None:
        self._app = app
        self._ledger = ledger
        self._reading = reading
        self._letters = letters
        self._connection: Connection | None = None
        #: Not connected; it only knows its transport's errors.
        transport = app.connection_for_read()
        self._away = (OperationalError, *transport.connection_errors, *transport.channel_errors)
        self._rabbitmq = transport.transport.driver_type == "amqp"
        self._dead = from_rabbitmq if self._rabbitmq else from_redis

    def turn(self) -> bool:
        """Keep what is there; say whether there may be more. Raises `BrokerAway`, or what the store raises."""
        try:
            taken = 0
            for dead in islice(self._dead(self._connected()), BATCH):
                self._keep(dead)
                dead.acknowledge()
                taken += 1
        except Exception as error:
            self.close()
            if isinstance(error, self._away):
                raise BrokerAway(type(error.__cause__ or error).__name__) from error
            raise
        return taken == BATCH

    def close(self) -> None:
        """Give the connection up; what was taken and not acknowledged goes back."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(*self._away):
                connection.release()

    def _connected(self) -> Connection:
        if self._connection is None:
            self._connection = self._app.connection_for_read()
            self._connection.ensure_connection(**_CONNECT)
            if self._rabbitmq:
                declare(self._connection, self._app.amqp.queues.values())
        return self._connection

    def _keep(self, dead: Dead) -> None:
        try:
            about = self._row_of(dead)
        except (Unusable, InvalidOrder, DifferentDocument) as wrong:
            self._letters.keep(_letter(dead, str(wrong)))
            log.warning("message.given_up", why=dead.why, reason=str(wrong))
        else:
            log.warning("message.rescued", why=dead.why, receipt_id=about)

    def _row_of(self, dead: Dead) -> str | None:
        """Make sure that what it is about has a row, and so is due by itself; say which receipt it is."""
        if dead.lost:
            raise Unusable(dead.why)
        job = read_job(dead.headers, dead.content_type, dead.body, FROM_OUTSIDE | {CALLBACK_TASK})
        if job.task == CONFIRM_TASK:
            order = _order(job)
            self._ledger.keep(order, LOCKED_DUE_SECONDS)
            return order.receipt_id
        if job.task == AGAIN_TASK:
            return self._known(job)
        return None  # a callback of ours: its own row is due by itself

    def _known(self, job: CeleryJob) -> str:
        try:
            receipt_id = check_receipt_id(job.arguments[0] if job.arguments else None)
        except ValueError as wrong:
            raise Unusable(str(wrong)) from None
        if self._reading.result(receipt_id) is None:
            raise Unusable(f"there is no receipt {receipt_id}")
        return receipt_id


def _order(job: CeleryJob) -> Order:
    if len(job.arguments) != 1 or job.named:
        raise Unusable("document: send exactly one argument, the order document")
    return to_order(read_document(job.arguments[0]))


def _letter(dead: Dead, reason: str) -> DeadLetter:
    return DeadLetter(
        source="celery",
        reason=reason if reason == dead.why else f"{reason} ({dead.why})",
        raw=dead.raw,
        receipt_id=receipt_in(dead.raw) if len(dead.raw) <= READ_BYTES else None,
        task_id=read_id(dead.headers),
        id=uuid5(NAMESPACE_OID, dead.mark),
    )
