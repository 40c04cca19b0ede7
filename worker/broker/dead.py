"""What the broker gave up, one message after the other, in one shape whichever broker it is.

Each stays there until it is acknowledged. RabbitMQ counts deliveries by itself; on Redis `scripts.py` counts how often
a message came back.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from kombu import Connection
from kombu.message import Message

from config.celery import DEAD, RETURN_LIMIT
from worker.broker.envelopes import KEPT_BYTES, LARGEST_BYTES, cut, parts, too_large
from worker.broker.scripts import FIRST_DEAD, REMOVE_DEAD
from worker.broker.topology import DEAD_QUEUE

#: RabbitMQ's words for why, and ours.
WHY = {
    "delivery_limit": "RabbitMQ gave it up: it was delivered again and again, and nobody acknowledged it",
    "expired": "it expired in its queue",
    "rejected": "a worker could keep nothing of it",
}
CAME_BACK = f"it was given up: {RETURN_LIMIT} times its worker ended, or one could keep nothing of it"
#: What ended one worker after the other may end the relay as well, so it reads no more of it than this, in which any
#: good message has room; a larger one is kept as it is.
READ_BYTES = 1024 * 1024
#: RabbitMQ's own headers that are others each time a message is taken.
COUNTS = ("x-delivery-count", "x-acquired-count")


@dataclass(frozen=True)
class Dead:
    """One message that was given up."""

    headers: dict[str, Any]
    content_type: object
    body: bytes
    #: What of it is kept where nobody can use it.
    raw: bytes
    why: str
    #: Whether nobody can use it any more, however good it was: too late, or too large.
    lost: bool
    #: The same each time this message is taken.
    mark: str
    acknowledge: Callable[[], object]


def from_rabbitmq(connection: Connection) -> Iterator[Dead]:
    """Give what is in the queue behind all others."""
    queue = DEAD_QUEUE(connection.default_channel)
    while (message := queue.get(no_ack=False)) is not None:
        yield _of_rabbitmq(message)


def from_redis(connection: Connection) -> Iterator[Dead]:
    """Give what is in the list of the same name, the longest there first."""
    channel: Any = connection.default_channel
    with channel.conn_or_acquire() as client:
        sizes = (LARGEST_BYTES, KEPT_BYTES)
        while found := client.eval(FIRST_DEAD, 1, DEAD, *sizes):
            mark, size, item = found
            yield _of_redis(item, size, mark.decode(), partial(client.eval, REMOVE_DEAD, 1, DEAD, *sizes, mark))


def _of_redis(item: bytes, size: int, mark: str, acknowledge: Callable[[], object]) -> Dead:
    if size > READ_BYTES:
        return Dead({}, None, b"", item, _words(CAME_BACK, size), lost=True, mark=mark, acknowledge=acknowledge)
    content_type, _, headers, body = parts(item)
    return Dead(headers, content_type, body, item, CAME_BACK, lost=False, mark=mark, acknowledge=acknowledge)


def _of_rabbitmq(message: Message) -> Dead:
    body = message.body
    raw = body.encode(errors="surrogatepass") if isinstance(body, str) else bytes(body or b"")
    died = _died(message.headers)
    same = {name: value for name, value in message.headers.items() if name not in COUNTS}
    return Dead(
        headers=message.headers,
        content_type=message.content_type,
        body=raw,
        raw=cut(raw),
        why=_words(WHY.get(died, f"RabbitMQ gave it up: {died}"), len(raw)),
        lost=died == "expired" or len(raw) > READ_BYTES,
        mark=hashlib.sha256(raw + repr(same).encode(errors="surrogatepass")).hexdigest(),
        acknowledge=message.ack,
    )


def _words(why: str, size: int) -> str:
    if size > LARGEST_BYTES:
        return too_large("the message")
    return why if size <= READ_BYTES else f"{why}; of its {size:,} bytes none was read again"


def _died(headers: dict[str, Any]) -> str:
    """Read RabbitMQ's word for why; what a producer wrote in its place may be anything."""
    deaths = headers.get("x-death")
    last = deaths[0] if isinstance(deaths, list) and deaths else None
    return str(last.get("reason"))[:100] if isinstance(last, dict) else "unknown"
