"""Messages: sending them, how many wait, and in which order they are read."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from amqp.exceptions import ChannelError, NotFound
from celery import Celery
from kombu import Connection
from kombu.exceptions import OperationalError
from kombu.utils.scheduling import priority_cycle

from config.celery import AGAIN, CALLBACKS, QUEUE
from worker.broker.topology import declare

#: Names of the tasks; the first is the contract's.
CONFIRM_TASK = "payconfirm.confirm"
AGAIN_TASK = "payconfirm.again"
DEAD_LETTER_TASK = "payconfirm.dead_letter"
CALLBACK_TASK = "payconfirm.callback"
#: What may come through the queues of jobs: a producer's, and the sweep's.
FROM_OUTSIDE = frozenset({CONFIRM_TASK, AGAIN_TASK})

#: Once more, over a fresh connection: a pooled one may have died unnoticed. Two copies cost nothing.
_RETRY = {"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0}


class BrokerAway(Exception):
    """The broker didn't take the message. The row stays due, so the sweep sends it later."""


#: Of so many readings one begins with new jobs: rows that come back again and again, their look-ups hanging, must not
#: keep every buyer after them out.
NEW_FIRST_EVERY = 4


class again_first(priority_cycle):  # noqa: N801 — kombu names its cycles like this
    """Reads the queue of rows that were claimed before, then that of new ones; now and then the other way round."""

    readings = 0

    def consume(self, n: int) -> list[str]:
        """Say in which order to read this time."""
        self.readings += 1
        queues: list[str] = self.items[:n]
        return queues[::-1] if self.readings % NEW_FIRST_EVERY == 0 else queues

    def update(self, it: list[str]) -> None:
        """Take the queues that are consumed from."""
        self.items = sorted(it, key=lambda queue: queue != AGAIN)


#: RabbitMQ confirms a message once a quorum of its nodes has it. One that is short of memory takes none meanwhile.
_CONFIRM_SECONDS = 2.0
_NO_ROUTE = 312


class Sender:
    """Sends "look at this receipt" messages."""

    def __init__(self, app: Celery) -> None:
        self._app = app
        connection = app.connection_for_write()  # not connected; it only knows its transport's errors
        self._rabbitmq = connection.transport.driver_type == "amqp"
        self._away = (OperationalError, *connection.connection_errors, *connection.channel_errors)

    def new(self, document: Mapping[str, Any]) -> None:
        """Send a new job, as a producer does. Raises `BrokerAway`."""
        task_id = f"payconfirm-{document['receipt_id']}"
        self._send(CONFIRM_TASK, [document], queue=QUEUE, task_id=task_id)

    def again(self, receipt_id: str, fence: UUID | None) -> None:
        """Send a row that is due, with the fence that was seen on it. Raises `BrokerAway`."""
        queue = QUEUE if fence is None else AGAIN
        self._send(AGAIN_TASK, [receipt_id, fence and str(fence)], queue=queue)

    def callback(self, callback_id: UUID, fence: UUID) -> None:
        """Send a callback that is due, with the fence that was seen on it. Raises `BrokerAway`."""
        self._send(CALLBACK_TASK, [str(callback_id), str(fence)], queue=CALLBACKS)

    def waiting(self, queue: str) -> int:
        """How many messages wait in a queue. Raises `BrokerAway`."""
        try:
            with self._app.pool.acquire(block=True) as connection:
                return self._count(connection, queue)
        except self._away as error:
            raise BrokerAway(_why(error)) from error

    def _count(self, connection: Connection, queue: str) -> int:
        if not self._rabbitmq:
            return int(self._app.amqp.queues[queue](connection.default_channel).queue_declare().message_count)
        connection.ensure_connection(**_RETRY)
        channel = connection.channel()
        try:
            return int(channel.queue_declare(queue, passive=True).message_count)
        except NotFound:
            self._declare()
            return 0
        finally:
            if channel.is_open:
                channel.close()

    def _declare(self) -> None:
        with self._app.pool.acquire(block=True) as connection:
            connection.ensure_connection(**_RETRY)
            declare(connection, self._app.amqp.queues.values())

    def _send(self, task: str, arguments: list[Any], **options: Any) -> None:  # noqa: ANN401 — Celery's own options
        try:
            try:
                self._send_once(task, arguments, **options)
            except ChannelError as refusal:
                if refusal.reply_code != _NO_ROUTE:
                    raise
                self._declare()
                self._send_once(task, arguments, **options)
        except self._away as error:
            raise BrokerAway(_why(error)) from error

    def _send_once(self, task: str, arguments: list[Any], **options: Any) -> None:  # noqa: ANN401 — as above
        if self._rabbitmq:  # it drops what it has no queue for, unless told not to
            options |= {"mandatory": True, "confirm_timeout": _CONFIRM_SECONDS}
        # Without the reprs: they would put a second copy of the document, cut short, into the headers.
        self._app.send_task(task, arguments, retry=True, retry_policy=_RETRY, argsrepr="", kwargsrepr="", **options)


def _why(error: BaseException) -> str:
    """Name the error under kombu's own: whether the broker is away or full is for people to know."""
    return type(error.__cause__ or error).__name__
