"""What RabbitMQ has of ours: quorum queues that never drop a message, and one for those that were given up.

Nobody but us declares them. Where they are there in another shape, they are used as they are, and that is said once.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import structlog
from amqp.exceptions import AccessRefused, PreconditionFailed
from kombu import Connection, Exchange, Queue

from config.celery import DEAD

log = structlog.get_logger(__name__)

#: Messages that were given up, or were too late, come here; from here the relay takes them.
DEAD_EXCHANGE = Exchange(DEAD, type="fanout", durable=True)
#: RabbitMQ 4 gives up after 20 tries unless told otherwise, and there is no other queue behind this one.
_NEVER = 1_000_000
DEAD_QUEUE = Queue(
    DEAD, DEAD_EXCHANGE, queue_arguments={"x-queue-type": "quorum", "x-delivery-limit": _NEVER}, durable=True
)

_told: set[str] = set()


def is_rabbitmq(url: str) -> bool:
    """Whether the broker there is RabbitMQ."""
    return url.startswith("amqp")


def declare(connection: Connection, queues: Iterable[Queue]) -> None:
    """Make what isn't there. Raises what the connection raises, and nothing where it is there in another shape."""
    _try(connection, DEAD, DEAD_EXCHANGE.declare)
    _try(connection, DEAD, partial(_make, DEAD_QUEUE))
    _try(connection, DEAD, DEAD_QUEUE.queue_bind)
    for queue in queues:
        _try(connection, queue.name, partial(_make, queue))


def _make(queue: Queue, channel: Any) -> None:  # noqa: ANN401 — kombu has no types
    queue.queue_declare(channel=channel)


def _try(connection: Connection, name: str, make: Callable[..., object]) -> None:
    """Make one thing over a channel of its own, which RabbitMQ closes when it refuses."""
    channel = connection.channel()
    try:
        make(channel=channel)
    except (PreconditionFailed, AccessRefused) as refusal:
        _tell(name, str(refusal))
    finally:
        if channel.is_open:
            channel.close()


def _tell(name: str, refusal: str) -> None:
    if name not in _told:
        _told.add(name)
        todo = "used as it is; docs/brokers.md says how to give it its shape"
        log.error("broker.declared_differently", name=name, error=refusal, then=todo)
