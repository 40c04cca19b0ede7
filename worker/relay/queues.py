"""The queues that consumers have bound to the events: on Redis each is a list, which a consumer that is gone lets grow.

So none grows beyond `CAP`: the oldest event goes for each new one, and people are told. The oldest, because every event
carries its whole result document, so that a newer one says more; because what is missing is then one stretch, before
all that the consumer still reads; and because RabbitMQ's `x-max-length` does the same. Nothing is lost for good: the
feed has every event.
"""

from contextlib import suppress
from time import monotonic
from typing import Any, NamedTuple

import structlog
from kombu.transport import redis as kombu_redis
from kombu.utils.json import dumps
from redis import Redis
from redis.exceptions import RedisError, ResponseError

from worker.broker.redis import make_redis
from worker.store.outbox import Announcement

log = structlog.get_logger(__name__)

#: An event takes about 1.2 KB of Redis: 120 MB for each consumer that is gone, and at ten payments a second almost
#: three hours until it misses one. docs/events.md says so.
CAP = 100_000
#: People hear of a queue that is so long, while nothing is missing yet.
LONG = CAP // 2
#: Of each queue they hear the same once in so many seconds.
TELL_SECONDS = 60

#: kombu keeps a topic exchange's bindings in this set: routing key, its pattern, queue.
_BINDINGS, _BETWEEN = "_kombu.binding.payconfirm.events", "\x06\x16"
#: How many events each queue has missed, ever.
MISSED = "payconfirm:events-missed"

#: All or nothing: what is refused, is refused at its first write. For a key that is no list the answer is -1.
_PUSH = """
local lengths, at = {}, 2
for queue = 2, #KEYS do
  local last = at + ARGV[at]
  lengths[queue - 1] = 0
  for each = at + 1, last do
    local length = redis.pcall('LPUSH', KEYS[queue], ARGV[each])
    if type(length) == 'table' and string.find(length['err'], 'WRONGTYPE', 1, true) then
      length = -1
    elseif type(length) == 'table' then
      return length
    end
    lengths[queue - 1] = length
  end
  local over = lengths[queue - 1] - ARGV[1]
  if over > 0 then
    redis.call('LTRIM', KEYS[queue], 0, ARGV[1] - 1)
    redis.call('HINCRBY', KEYS[1], KEYS[queue], over)
  end
  at = last + 1
end
return lengths
"""


class Bound(NamedTuple):
    """A consumer's queue: how many events wait there, and how many it has missed since it was bound."""

    waiting: int
    missed: int


def bound_queues(redis: Redis) -> dict[str, Bound]:
    """The queues that are bound to the events on this Redis, which decodes its answers."""
    names = sorted({str(binding).rpartition(_BETWEEN)[2] for binding in redis.smembers(_BINDINGS)})
    with redis.pipeline(transaction=False) as pipeline:
        for name in names:
            pipeline.llen(name)
            pipeline.hget(MISSED, name)
        answers = pipeline.execute(raise_on_error=False)
    lengths = [0 if isinstance(length, ResponseError) else length for length in answers[::2]]  # a key that is no list
    return {
        name: Bound(length, int(missed or 0))
        for name, length, missed in zip(names, lengths, answers[1::2], strict=True)
    }


class BoundQueues:
    """The same for a scrape that comes every few seconds; nothing where RabbitMQ has them, or Redis doesn't answer."""

    def __init__(self, events_url: str) -> None:
        self._redis = None if events_url.startswith("amqp") else make_redis(events_url)

    def read(self) -> dict[str, Bound]:
        """Read them once."""
        with suppress(RedisError):
            return bound_queues(self._redis) if self._redis else {}
        return {}


class Pushes:
    """A batch of events on its way to Redis: pushed in one go, which Redis takes whole or not at all."""

    def __init__(self, channel: Any) -> None:  # noqa: ANN401 — kombu has no types
        self._channel = channel
        self._open: list[Announcement] = []

    def before(self, event: Announcement, taken: list[Announcement]) -> None:
        """Note an event that is sent next."""
        del taken  # nothing is, before all are
        self._open.append(event)

    def wait(self, taken: list[Announcement]) -> None:
        """Push them. Raises redis's own errors."""
        self._channel.push()
        taken += self._open
        self._open.clear()


class _Capped:
    """A channel that gathers what is published, and lets no queue grow beyond the cap.

    A bound queue that can't be written to doesn't hold the others up.
    """

    def __init__(self, *args: object, **options: object) -> None:
        self._gathered: dict[str, list[str]] = {}
        self._table: list[tuple[str, ...]] | None = None
        self._told: dict[tuple[str, str], float] = {}
        super().__init__(*args, **options)

    def push(self) -> None:
        """Push all that was gathered."""
        queues = [*self._gathered]
        if queues:
            arguments = [each for texts in self._gathered.values() for each in (len(texts), *texts)]
            with self.conn_or_acquire() as client:  # type: ignore[attr-defined]
                lengths = client.eval(_PUSH, 1 + len(queues), MISSED, *queues, CAP, *arguments)
            for queue, length in zip(queues, lengths, strict=True):
                self._look_at(queue, length)
        self._gathered.clear()
        self._table = None

    def get_table(self, exchange: str) -> list[tuple[str, ...]]:
        """The bindings, read once for all that is pushed together."""
        if self._table is None:
            self._table = super().get_table(exchange)  # type: ignore[misc]
        return self._table

    def _put(self, queue: str, message: dict[str, Any], **_: object) -> None:
        self._gathered.setdefault(queue, []).append(dumps(message))

    def _look_at(self, queue: str, length: int) -> None:
        if length < 0:
            self._tell(queue, "events.no_queue", "unbind it, or delete that key: it is no list, and gets no events")
        elif length > CAP:
            self._tell(queue, "events.queue_full", "start its consumer, or unbind it; what it misses is in the feed")
        elif length > LONG:
            self._tell(queue, "events.queue_long", "start its consumer, or unbind it, before it misses events")

    def _tell(self, queue: str, event: str, what_to_do: str) -> None:
        now = monotonic()
        if now >= self._told.get((queue, event), now):
            self._told[queue, event] = now + TELL_SECONDS
            log.warning(event, queue=queue, cap=CAP, what_to_do=what_to_do)


class _Channel(_Capped, kombu_redis.Channel):
    pass


class _SentinelChannel(_Capped, kombu_redis.SentinelChannel):
    pass


class _Transport(kombu_redis.Transport):
    Channel = _Channel


class _SentinelTransport(kombu_redis.SentinelTransport):
    Channel = _SentinelChannel


#: By the scheme of EVENTS_URL; RabbitMQ's queues are bounded by whoever declares them.
CAPPED = {"redis": _Transport, "rediss": _Transport, "sentinel": _SentinelTransport}
