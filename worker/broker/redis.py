"""One Redis client a process: quick to give up, and never repeating a command by itself."""

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as NotConnected
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as NoAnswer
from redis.retry import Retry

#: Redis here only makes things cheap or quick. When it is away, work goes on without it.
ANSWER_SECONDS = 1.0

#: After these the connection is given up. What refuses may be a server that became a replica and keeps it open: only a
#: new one leads to the primary of today.
_GIVE_UP = (NotConnected, NoAnswer, ResponseError)


def make_redis(url: str) -> Redis:
    """Build the client; it connects when it is first used.

    redis-py repeats every command up to ten times by default, those that must not be repeated included: a lock whose
    answer was lost would then look as if somebody else held it.
    """
    return Redis.from_url(
        url,
        socket_timeout=ANSWER_SECONDS,
        socket_connect_timeout=ANSWER_SECONDS,
        retry=Retry(NoBackoff(), 0, supported_errors=_GIVE_UP),
        decode_responses=True,
    )
