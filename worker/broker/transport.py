"""The guarded Redis transport: a message that was taken stays in Redis until it is acknowledged.

kombu takes a message off its list and notes it as unacknowledged in a second step; a worker killed between the two
loses it. Here taking *is* noting: a script moves the message into a list of the channel that takes it, and an
acknowledgement removes it from there. Each channel keeps a key alive for as long as its worker runs; the lists of one
whose key is gone go back to their queues. There is no visibility timeout: nothing comes back while its worker lives.

It overrides private methods of kombu 5.7, which is why pyproject.toml pins it and `tests/crashes` holds it.
"""

from contextlib import suppress
from queue import Empty
from time import monotonic
from typing import Any
from uuid import uuid4

from kombu.transport import TRANSPORT_ALIASES, redis, virtual
from redis.exceptions import ConnectionError as NotConnected
from redis.exceptions import RedisError

from config.celery import AGAIN
from worker.broker.envelopes import envelope

#: A channel whose worker didn't say so for this long is taken for dead. Its messages are back a second later, well
#: within the 20 s that are promised; one that was only stopped finds them delivered twice, which costs nothing.
ALIVE_SECONDS = 10
#: With nothing to take, how long to wait for the newest queue before the others are looked at again.
WAIT_SECONDS = 0.5

_PREFIX = "payconfirm:taken"
#: Which queues each channel takes from: where to look for what a dead one held.
_OWNERS = f"{_PREFIX}:owners"

#: ARGV: prefix, owner, seconds, then the queues in the order in which they are read.
_SAY_ALIVE = """
redis.call('HSET', KEYS[1], ARGV[2], table.concat(ARGV, ' ', 4))
redis.call('SET', ARGV[1] .. ':alive:' .. ARGV[2], '1', 'EX', ARGV[3])
"""

#: Take one message of the first queue that has any. It says alive itself: what it takes must be found again.
_TAKE = (
    _SAY_ALIVE
    + """
for i = 4, #ARGV do
  local item = redis.call('LMOVE', ARGV[i], ARGV[1] .. ':' .. ARGV[2] .. ':' .. ARGV[i], 'RIGHT', 'LEFT')
  if item then return {ARGV[i], item} end
end
return false
"""
)

#: Say alive, and give back what the dead ones hold, to the end that is read next.
_KEEP_ALIVE = (
    _SAY_ALIVE
    + """
local owners = redis.call('HGETALL', KEYS[1])
for i = 1, #owners, 2 do
  if redis.call('EXISTS', ARGV[1] .. ':alive:' .. owners[i]) == 0 then
    for queue in string.gmatch(owners[i + 1], '%S+') do
      while redis.call('LMOVE', ARGV[1] .. ':' .. owners[i] .. ':' .. queue, queue, 'LEFT', 'RIGHT') do end
    end
    redis.call('HDEL', KEYS[1], owners[i])
  end
end
"""
)

#: Give one message back, if it is still held.
_PUT_BACK = "if redis.call('LREM', KEYS[1], 1, ARGV[1]) == 1 then redis.call('RPUSH', KEYS[2], ARGV[1]) end"


class QoS(virtual.QoS):
    """Knows what was delivered; where it is kept meanwhile is the channel's affair."""

    def ack(self, delivery_tag: str) -> None:
        """Let the message go for good. Where Redis doesn't hear of it, it comes back once this channel has ended."""
        try:
            self.channel.let_go(delivery_tag)
        finally:
            super().ack(delivery_tag)  # or it would count as being worked on for ever

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:  # noqa: FBT001, FBT002 — kombu's signature
        """Let the message go, or put it back; as `ack` where Redis doesn't hear of it."""
        try:
            (self.channel.put_back if requeue else self.channel.let_go)(delivery_tag)
        finally:
            super().ack(delivery_tag)

    def restore_visible(self, **_: object) -> None:
        """Called by the event loop every second."""
        self.channel.keep_alive()


class Channel(redis.Channel):
    """Takes messages by moving them. A reconnect makes a new channel; what the old one held comes back by itself."""

    QoS = QoS  # type: ignore[assignment]

    def __init__(self, *args: object, **options: object) -> None:
        self._owner = uuid4().hex
        self._taken: dict[str, tuple[str, bytes]] = {}
        self._command = "EVAL"
        super().__init__(*args, **options)

    def keep_alive(self) -> None:
        """Say that this channel's worker lives, and give back what dead ones hold."""
        with self.conn_or_acquire() as client:
            client.eval(_KEEP_ALIVE, 1, _OWNERS, *self._who_and_what(self.active_queues))

    def let_go(self, tag: str) -> None:
        """Forget an acknowledged message. One that was put back meanwhile is another's by now."""
        if tag not in self._taken:
            return
        queue, item = self._taken.pop(tag)
        with self.conn_or_acquire() as client:
            client.lrem(self._list(queue), 1, item)

    def put_back(self, tag: str) -> None:
        """Give a message back to its queue, to be read next."""
        if tag not in self._taken:
            return
        queue, item = self._taken.pop(tag)
        with self.conn_or_acquire() as client:
            client.eval(_PUT_BACK, 2, self._list(queue), queue, item)

    def _restore(self, message: Any, leftmost: bool = False) -> None:  # noqa: ANN401, FBT001, FBT002 — kombu's signature
        """Give a message back as the channel closes. Over a dead connection it comes back with the channel's key."""
        del leftmost
        with suppress(RedisError):
            self.put_back(message.delivery_tag)

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
            connection.send_command("EVAL", _TAKE, 1, _OWNERS, *self._who_and_what(queues))
        else:
            newest = next((queue for queue in queues if queue != AGAIN), AGAIN)
            connection.send_command("BLMOVE", newest, newest, "RIGHT", "RIGHT", WAIT_SECONDS)

    def _brpop_read(self, **options: object) -> bool:
        command, self._command = self._command, "EVAL"
        try:
            answer = self.client.parse_response(self.client.connection, command, **options)
        except self.connection_errors:
            self.client.connection.disconnect()
            raise
        finally:
            self._in_poll = None  # type: ignore[assignment]
            self._flush_brpop_reauth()
        if command == "EVAL" and answer:
            return self._deliver_taken(answer[0].decode(), answer[1])
        if command == "EVAL":
            self._command = "BLMOVE"
        raise Empty

    def _deliver_taken(self, queue: str, item: bytes) -> bool:
        tag = str(uuid4())  # a producer's own may stand twice
        self._taken[tag] = (queue, item)
        self.connection._deliver(envelope(item, tag, queue), queue)  # noqa: SLF001 — as the parent does
        return True

    def _who_and_what(self, queues: list[str]) -> list[object]:
        return [_PREFIX, self._owner, ALIVE_SECONDS, *queues]

    def _list(self, queue: str) -> str:
        return f"{_PREFIX}:{self._owner}:{queue}"

    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:  # noqa: FBT001, FBT002 — kombu's signature
        """Say "not connected" where Celery 5.7 closes a lost connection through its channel.

        The parent fails there with an error that Celery doesn't expect and ends of. It hasn't been seen without remote
        control, which our workers don't have.
        """
        if self.connection is None or self.connection.client is None:
            raise NotConnected("the connection was closed")
        parameters: dict[str, Any] = super()._connparams(asynchronous)
        return parameters


class Transport(redis.Transport):
    """The transport that the workers consume through."""

    Channel = Channel


def install() -> None:
    """Have every redis:// broker of this process go through the guarded transport."""
    for scheme in ("redis", "rediss"):
        TRANSPORT_ALIASES[scheme] = "worker.broker.transport:Transport"
