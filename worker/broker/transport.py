"""The guarded Redis transport: a message that was taken stays in Redis until it is acknowledged.

kombu takes a message off its list and notes it as unacknowledged in a second step; a worker killed between the two
loses it. Here taking *is* noting: a script moves the message into a list of the channel that takes it, and an
acknowledgement removes it from there. Each channel keeps a key alive for as long as its worker runs; the lists of one
whose key is gone go back to their queues. There is no visibility timeout: nothing comes back while its worker lives.
What comes back again and again, as if it ended its workers, is given up to a list that the relay reads; so is what a
task rejects for good.

It overrides private methods of kombu 5.7, which is why pyproject.toml pins it and `tests/crashes` holds it.
"""

import hashlib
from collections import deque
from contextlib import suppress
from math import inf
from queue import Empty
from time import monotonic
from typing import Any
from uuid import uuid4

import structlog
from kombu.transport import TRANSPORT_ALIASES, redis, virtual
from redis.exceptions import ConnectionError as NotConnected
from redis.exceptions import ReadOnlyError, RedisError, ResponseError

from config.celery import AGAIN, DEAD, QUEUE
from worker.broker.envelopes import envelope
from worker.broker.scripts import GIVE_UP, KEEP_ALIVE, NOTHING, OWNERS, PREFIX, PUT_BACK, RETURNED, TAKE

log = structlog.get_logger(__name__)

#: A channel whose worker didn't say so for this long is taken for dead. Its messages are back a second later, well
#: within the 20 s that are promised; one that was only stopped finds them delivered twice, which costs nothing.
ALIVE_SECONDS = 10
#: With nothing to take, how long to wait for the newest queue before the others are looked at again.
WAIT_SECONDS = 0.5
#: A producer's `priority` puts a message into a list beside its queue's own, 0 into that itself: kombu's own steps, in
#: the order in which it reads them.
PRIORITIES = (3, 6, 9)
#: A Redis that refuses goes on to; one line in so many seconds is enough.
TELL_SECONDS = 30


class QoS(virtual.QoS):
    """Knows what was delivered; where it is kept meanwhile is the channel's affair."""

    def ack(self, delivery_tag: str) -> None:
        """Let the message go for good."""
        try:
            self.channel.let_go(delivery_tag)
        finally:
            super().ack(delivery_tag)  # or it would count as being worked on for ever

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:  # noqa: FBT001, FBT002 — kombu's signature
        """Put the message back, or give it up to the relay, as RabbitMQ does.

        If Redis doesn't hear of that, it is back once this channel has ended.
        """
        try:
            (self.channel.put_back if requeue else self.channel.give_up)(delivery_tag)
        finally:
            super().ack(delivery_tag)

    def restore_visible(self, **_: object) -> None:
        """Called as the channel connects, and by the event loop every second.

        Taking says alive as well, so nothing hangs on this; an error here would make Celery forget the connection that
        it has just made, without closing it.
        """
        with suppress(RedisError):
            self.channel.keep_alive()


class Channel(redis.Channel):
    """Takes messages by moving them. A reconnect makes a new channel; what the old one held comes back by itself."""

    QoS = QoS  # type: ignore[assignment]

    def __init__(self, *args: object, **options: object) -> None:
        self._owner = uuid4().hex
        #: The list that it lay in, the list's item, and whether it came back from a dead worker before.
        self._taken: dict[str, tuple[str, bytes, bool]] = {}
        self._unheard: deque[tuple[str, bytes, bool]] = deque()
        self._silent = False
        self._command = "EVAL"
        self._leave = False
        self._told_at = -inf
        super().__init__(*args, **options)

    def keep_alive(self) -> None:
        """Say that this channel's worker lives, and give back what dead ones hold."""
        queues = self.active_queues
        if not queues:  # as it connects; and the queues that it took from must stay known
            return
        with self.conn_or_acquire() as client:
            client.eval(KEEP_ALIVE, 1, OWNERS, *self._who_and_what(queues))
            self._remove_unheard(client)

    def let_go(self, tag: str) -> None:
        """Forget an acknowledged message. One that was put back meanwhile is another's by now.

        While Redis doesn't hear of it nobody waits for that: it hears with the next sign of life. Messages that were
        never removed come back once this channel has ended.
        """
        if tag not in self._taken:
            return
        self._unheard.append(self._taken.pop(tag))
        if len(self._unheard) == 1:
            with suppress(RedisError), self.conn_or_acquire() as client:
                self._remove_unheard(client)

    def _remove_unheard(self, client: Any) -> None:  # noqa: ANN401 — kombu has no types
        while self._unheard:
            key, item, returned = self._unheard[0]
            if returned:
                client.hdel(RETURNED, hashlib.sha1(item, usedforsecurity=False).hexdigest())
            client.lrem(self._list(key), 1, item)
            self._unheard.popleft()

    def put_back(self, tag: str) -> None:
        """Give a message back to its queue, to be read next."""
        if tag not in self._taken:
            return
        key, item, _ = self._taken.pop(tag)
        with self.conn_or_acquire() as client:
            client.eval(PUT_BACK, 2, self._list(key), key, item)

    def give_up(self, tag: str) -> None:
        """Give a message up to the list that the relay reads."""
        if tag not in self._taken:
            return
        key, item, _ = self._taken.pop(tag)
        with self.conn_or_acquire() as client:
            client.eval(GIVE_UP, 2, self._list(key), DEAD, item)

    def _restore(self, message: Any, leftmost: bool = False) -> None:  # noqa: ANN401, FBT001, FBT002 — kombu's signature
        """Give a message back as the channel closes. Over a dead connection it comes back with the channel's key.

        One message finds that out for all of them, or each would wait for an answer.
        """
        del leftmost
        if self._silent:
            return
        try:
            self.put_back(message.delivery_tag)
        except RedisError:
            self._silent = True

    def _queue_bind(self, *binding: object) -> None:
        """Bind a queue, unless Redis refuses: our messages are sent to their queue by its name and need no binding."""
        with suppress(ResponseError):
            super()._queue_bind(*binding)

    def _size(self, queue: str) -> int:
        """Say how many messages wait.

        Asked as a channel connects, so not in a transaction as kombu does: a full Redis 7.0 refuses all that is in one.
        """
        with self.conn_or_acquire() as client:
            return sum(int(client.llen(key)) for key in self._keys([queue]))

    def _brpop_start(self, timeout: float | None = None) -> None:
        """Ask for the next message; or, when there was none, to be told when the queue of new jobs has one.

        The waiting takes nothing: it moves the list's last message onto itself.
        """
        del timeout
        queues = self._queue_cycle.consume(len(self.active_queues))
        if not queues:
            return
        connection = self._in_poll = self.client.connection
        self._brpop_sent_at = monotonic()  # type: ignore[assignment]
        if self._command == "EVAL":
            connection.send_command("EVAL", TAKE, 1, OWNERS, *self._who_and_what(queues))
        elif self._command == "XREAD":
            connection.send_command("XREAD", "BLOCK", int(WAIT_SECONDS * 1000), "STREAMS", NOTHING, "$")
        else:
            newest = next((queue for queue in queues if queue != AGAIN), AGAIN)
            connection.send_command("BLMOVE", newest, newest, "RIGHT", "RIGHT", WAIT_SECONDS)

    def _brpop_read(self, **options: object) -> bool:
        command, self._command = self._command, "EVAL"
        try:
            answer = self.client.parse_response(self.client.connection, command, **options)
        except ResponseError as refusal:
            if command == "XREAD":
                raise
            self._sit_out(refusal)
            raise Empty from refusal
        except self.connection_errors:
            self.client.connection.disconnect()
            raise
        finally:
            self._in_poll = None  # type: ignore[assignment]
            self._flush_brpop_reauth()
        if command == "EVAL" and answer:
            return self._deliver_taken(answer[0].decode(), *answer[1:])
        if command == "EVAL":
            self._command = "BLMOVE"
        if self._leave:
            raise NotConnected("the server is a replica")
        raise Empty

    def _sit_out(self, refusal: ResponseError) -> None:
        """Wait a moment and try again: Redis is full, or has lost its replicas, or became one; then connect anew."""
        self._command = "XREAD"
        self._leave = isinstance(refusal, ReadOnlyError) or "READONLY" in str(refusal)  # Redis 6.2 wraps a script's
        if monotonic() > self._told_at + TELL_SECONDS:
            self._told_at = monotonic()
            log.warning("broker.refuses", error=str(refusal))

    def _deliver_taken(self, key: str, item: bytes, returned: object) -> bool:
        tag = str(uuid4())  # a producer's own may stand twice
        self._taken[tag] = (key, item, returned == 1)
        queue = key.partition(self.sep)[0]
        self.connection._deliver(envelope(item, tag, queue), queue)  # noqa: SLF001 — as the parent does
        return True

    def _who_and_what(self, queues: list[str]) -> list[object]:
        return [PREFIX, self._owner, ALIVE_SECONDS, *self._keys(queues)]

    def _keys(self, queues: list[str]) -> list[str]:
        """Give the lists of these queues; only producers have priorities."""
        beside = [f"{QUEUE}{self.sep}{priority}" for priority in PRIORITIES]
        return [key for queue in queues for key in (queue, *(beside if queue == QUEUE else ()))]

    def _list(self, key: str) -> str:
        return f"{PREFIX}:{self._owner}:{key}"

    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:  # noqa: FBT001, FBT002 — kombu's signature
        """Say "not connected" where Celery 5.7 closes a lost connection through its channel.

        The parent fails there with an error that Celery doesn't expect and ends of. It hasn't been seen without remote
        control, which our workers don't have.
        """
        if self.connection is None or self.connection.client is None:
            raise NotConnected("the connection was closed")
        parameters: dict[str, Any] = super()._connparams(asynchronous)
        return parameters


class SentinelChannel(Channel, redis.SentinelChannel):
    """The same behind Sentinels: each new connection leads to the master of that moment."""


class Transport(redis.Transport):
    """The transport that the workers consume through."""

    Channel = Channel


class SentinelTransport(redis.SentinelTransport):
    """The same behind Sentinels."""

    Channel = SentinelChannel


def install() -> None:
    """Have every redis:// and sentinel:// broker of this process go through the guarded transport."""
    for scheme in ("redis", "rediss"):
        TRANSPORT_ALIASES[scheme] = "worker.broker.transport:Transport"
    TRANSPORT_ALIASES["sentinel"] = "worker.broker.transport:SentinelTransport"
