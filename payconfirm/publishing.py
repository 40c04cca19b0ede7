"""Hands messages to the broker as a Celery producer does, and says so only once the broker has them."""

# mypy: disable-error-code="no-untyped-call"
# kombu says that it is typed, and is so only in part.

import ssl
from collections.abc import Mapping
from typing import Any

from celery import Celery
from kombu.connection import Connection
from kombu.exceptions import OperationalError
from kombu.pools import ProducerPool

from payconfirm import rabbitmq
from payconfirm.addresses import BROKERS, check_named
from payconfirm.errors import BrokerUnavailable
from payconfirm.sentinel import for_kombu
from payconfirm.wire import QUEUE, TASK, task_id

#: Connections, and so messages on their way at once, of one client. More threads than that wait for their turn.
POOL_SIZE = 8

#: How long a thread waits for its turn. Longer than one message takes at worst, so that only a broker that is away
#: makes it give up.
TURN_SECONDS = 10.0

#: A broker in the same region connects within a few milliseconds.
CONNECT_SECONDS = 2.0

#: How long an answer may take: a synchronous write to disk, a quorum, a short pause of the broker.
ANSWER_SECONDS = 2.0

#: One fresh connection for one that had died unnoticed in the pool. When only the answer was lost, the message is there
#: twice under one task id: harmless, the receipt's row makes it one job.
_RETRY = {"max_retries": 1, "interval_start": 0, "interval_step": 0.2, "interval_max": 0.2}

_REDIS_OPTIONS = {"socket_connect_timeout": CONNECT_SECONDS, "socket_timeout": ANSWER_SECONDS, "socket_keepalive": True}
_AMQP_OPTIONS = {"confirm_publish": True, "write_timeout": ANSWER_SECONDS}
#: kombu's own of these two would wait for ever for some of RabbitMQ's answers.
_TRANSPORTS = {"amqp": rabbitmq.Transport, "amqps": rabbitmq.SSLTransport}


class Broker:
    """A broker as a producer sees it. Opens no connection before the first message; threads may share it."""

    def __init__(self, url: str, transport_options: Mapping[str, Any] | None = None) -> None:
        scheme = check_named("the broker's URL", url, BROKERS).partition("://")[0]
        options = _AMQP_OPTIONS if scheme.startswith("amqp") else _REDIS_OPTIONS
        address, options = for_kombu(url, {**options, **_RETRY, **(transport_options or {})})
        # Not the app's own connection: CELERY_BROKER_URL in the environment, which is the shop's, would win over ours.
        self._connection = Connection(
            address,
            transport=_TRANSPORTS.get(scheme),
            connect_timeout=CONNECT_SECONDS,
            transport_options=options,
            ssl={"ssl_cert_reqs": ssl.CERT_REQUIRED} if scheme == "rediss" else False,
        )
        self._shown = Connection(address).as_uri()
        self._connections = self._connection.Pool(limit=POOL_SIZE)
        self._producers = ProducerPool(self._connections, limit=POOL_SIZE)
        self._app = Celery("payconfirm.producer", set_as_current=False, loader="app", fixups=[])
        self._away = (OperationalError, OSError, *self._connection.connection_errors, *self._connection.channel_errors)

    def send(self, document: dict[str, Any]) -> str:
        """Return the task's id once the broker has the message, or raise `BrokerUnavailable` within seconds."""
        name = task_id(document["receipt_id"])
        # What monitors show of the arguments: the receipt, not the shop's own business.
        shown = repr(document["receipt_id"])
        message = self._app.amqp.as_task_v2(name, TASK, [document], {}, ignore_result=True, argsrepr=shown)
        try:
            with self._producers.acquire(block=True, timeout=TURN_SECONDS) as producer:
                self._publish(producer, message)
        except self._away as away:
            raise BrokerUnavailable(
                f"{self._shown} didn't take the message for {document['receipt_id']}: "
                f"{type(away.__cause__ or away).__name__}. Sending the same document again is harmless."
            ) from away
        return name

    def _publish(self, producer: Any, message: Any) -> None:  # noqa: ANN401 - kombu has no types
        """Publish to the queue that the worker declares, by its name; RabbitMQ refuses where there is none."""
        self._app.amqp.send_task_message(
            producer,
            TASK,
            message,
            queue=QUEUE,
            declare=[],
            serializer="json",
            retry=True,
            retry_policy=_RETRY,
            mandatory=True,
            confirm_timeout=ANSWER_SECONDS,
        )

    def close(self) -> None:
        """Close every connection."""
        self._producers.force_close_all()
        self._connections.force_close_all()
        self._connection.release()
        self._app.close()
