"""One Redis client a process: quick to give up, and never repeating a command by itself.

Behind Sentinels each new connection asks one of them who the master is, so a failover costs what was under way.
"""

from typing import Any

import redis.asyncio
import redis.asyncio.retry
import redis.asyncio.sentinel
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as NotConnected
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as NoAnswer
from redis.retry import Retry

from payconfirm.sentinel import is_sentinel, read_sentinels

#: Redis here only makes things cheap or quick. When it is away, work goes on without it.
ANSWER_SECONDS = 1.0

#: After these the connection is given up. What refuses may be a server that became a replica and keeps it open: only a
#: new one leads to the primary of today.
_GIVE_UP = (NotConnected, NoAnswer, ResponseError)

_TIMES: dict[str, Any] = {"socket_timeout": ANSWER_SECONDS, "socket_connect_timeout": ANSWER_SECONDS}
#: What isn't text is somebody else's, and must not end those who hear it.
_TEXT: dict[str, Any] = {"decode_responses": True, "encoding_errors": "replace"}


def make_redis(url: str) -> Redis:
    """Build the client; it connects when it is first used.

    redis-py repeats every command up to ten times by default, those that must not be repeated included: a lock whose
    answer was lost would then look as if somebody else held it.
    """
    retry = Retry(NoBackoff(), 0, supported_errors=_GIVE_UP)
    if not is_sentinel(url):
        return Redis.from_url(url, **_TIMES, **_TEXT, retry=retry)
    return read_sentinels(url).master(**_TIMES, **_TEXT, retry=retry)


def make_async_redis(url: str) -> redis.asyncio.Redis:
    """Build the same for an event loop, where nothing but hints is heard."""
    retry = redis.asyncio.retry.Retry(NoBackoff(), 0)
    if not is_sentinel(url):
        return redis.asyncio.Redis.from_url(url, **_TIMES, **_TEXT, retry=retry)
    behind = read_sentinels(url)
    asking = behind.asking | {"retry": redis.asyncio.retry.Retry(NoBackoff(), 0)}
    asked = redis.asyncio.sentinel.Sentinel(behind.hosts, sentinel_kwargs=asking)
    client: redis.asyncio.Redis = asked.master_for(behind.master_name, **behind.login, **_TIMES, **_TEXT, retry=retry)
    return client
