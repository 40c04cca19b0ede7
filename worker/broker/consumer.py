"""Celery's consumer behind a guard: what a producer put on the queue becomes a job, or a dead letter, and nothing else.

The dead letter is written by a task of its own, so that the message is acknowledged only once it is kept.
"""

import json
from base64 import b64encode
from collections.abc import Callable, Container
from functools import partial
from typing import Any
from uuid import uuid4

from celery.worker.consumer import Consumer
from kombu import Connection
from kombu.message import Message

from worker.broker.envelopes import RAW, UNREADABLE, CeleryJob, Unusable, cut, read_id, read_job
from worker.broker.queues import CALLBACK_TASK, DEAD_LETTER_TASK, FROM_OUTSIDE
from worker.broker.topology import declare

#: What may come through the queue of callbacks.
CALLBACKS_ALONE = frozenset({CALLBACK_TASK})

#: The waits between two tries to reach the broker.
RECONNECT_SECONDS = {"interval_start": 0.5, "interval_step": 0.5, "interval_max": 3}


class GuardedConsumer(Consumer):
    """The worker's consumer."""

    class Blueprint(Consumer.Blueprint):
        """Celery's own, without the 28 queues in which RabbitMQ would keep tasks with an `eta`: there are none."""

        default_steps = [step for step in Consumer.Blueprint.default_steps if "delayed_delivery" not in step]  # noqa: RUF012 — Celery's own shape

    def create_task_handler(self, *args: object, **options: object) -> Callable[[Message], object]:
        """Handle messages as Celery does, each of them well-formed by then."""
        handle: Callable[[Message], object] = super().create_task_handler(*args, **options)

        def on_task_received(message: Message) -> object:
            guard(message, CALLBACKS_ALONE if CALLBACK_TASK in self.strategies else FROM_OUTSIDE)
            return handle(message)

        return on_task_received

    def ensure_connected(self, conn: Connection) -> Connection:
        """Connect, trying again soon: Celery's own waits grow to half a minute, and buyers wait meanwhile."""
        conn.ensure_connection = partial(conn.ensure_connection, **RECONNECT_SECONDS)  # type: ignore[method-assign]
        connected: Connection = super().ensure_connected(conn)
        if connected.transport.driver_type == "amqp":
            declare(connected, self.app.amqp.queues.values())
        return connected

    def on_decode_error(self, message: Message, exc: Exception) -> None:
        """Keep what kombu couldn't unpack; Celery would acknowledge it and forget it."""
        message.content_type = UNREADABLE
        message.headers = {**message.headers, "why": f"the message can't be unpacked: {exc}"}
        self.create_task_handler()(message)


def guard(message: Message, known: Container[str]) -> None:
    """Rewrite the message as a job that Celery can run."""
    raw = _raw(message)
    try:
        job = read_job(message.headers, message.content_type, message.body, known)
    except Unusable as wrong:
        job = CeleryJob(
            DEAD_LETTER_TASK, str(uuid4()), [str(wrong), b64encode(raw).decode(), read_id(message.headers)], {}
        )
    message.headers = {
        "task": job.task,
        "id": job.id,
        "root_id": job.id,
        "retries": 0,
        "eta": None,
        "expires": None,
        "lang": "py",
        RAW: b64encode(raw).decode(),
    }
    message.content_type, message.content_encoding = "application/json", "utf-8"
    message.body = json.dumps([job.arguments, job.named, {}])
    message.properties = {**message.properties, "correlation_id": job.id, "reply_to": None}
    message._decoded_cache = None  # noqa: SLF001 — what was decoded before is no longer so


def _raw(message: Message) -> bytes:
    """The list's item on Redis; the body on RabbitMQ. Of what is too large the beginning."""
    raw: Any = (message.delivery_info or {}).pop(RAW, None)
    if raw is None:
        raw = message.body
    return cut(raw.encode(errors="surrogatepass") if isinstance(raw, str) else bytes(raw or b""))
