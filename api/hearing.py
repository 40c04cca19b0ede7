"""Hearing the hints: one subscription a process. Without Redis nobody hears anything, and nobody is told an error."""

import asyncio
import random

import structlog
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from api.following import Following
from api.waiting import Waiting
from worker.broker.hints import FEED, RESULTS
from worker.broker.redis import make_async_redis

log = structlog.get_logger(__name__)

#: A connection that was silent for so long is asked whether it lives; one that then stays silent is given up.
_SILENT_SECONDS = 5.0
#: Waits between tries to reach Redis.
_FIRST_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 5.0


class Hearing:
    """Rings the bells of those who wait, as hints come in."""

    def __init__(self, redis_url: str, waiting: Waiting, following: Following) -> None:
        self._redis = make_async_redis(redis_url)
        self._waiting = waiting
        self._following = following
        self.connected = False

    async def run(self) -> None:
        """Listen until cancelled, whatever Redis does."""
        pause = _FIRST_PAUSE_SECONDS
        while True:
            heard = await self._listen()
            pause = _FIRST_PAUSE_SECONDS if heard else min(2 * pause, _LONGEST_PAUSE_SECONDS)
            await asyncio.sleep(pause * (0.5 + random.random() / 2))  # noqa: S311 — spreads the processes, no secret

    async def close(self) -> None:
        """Give the connections up."""
        await self._redis.aclose()

    async def _listen(self) -> bool:
        """Listen for as long as the connection lives; say whether it ever did."""
        heard = False
        try:
            async with self._redis.pubsub() as pubsub:
                await pubsub.subscribe(RESULTS, FEED)
                while await self._hear(pubsub):
                    heard = True
        except (RedisError, OSError) as error:
            log.warning("hints.unheard", error=type(error).__name__)
        finally:
            self.connected = False
        return heard

    async def _hear(self, pubsub: PubSub) -> bool:
        """Take one message; False when the connection is dead."""
        message = await pubsub.get_message(timeout=_SILENT_SECONDS)
        if message is None:
            await pubsub.ping()
            message = await pubsub.get_message(timeout=_SILENT_SECONDS)
        if message is None:
            return False
        if message["type"] == "subscribe" and message["channel"] == FEED:  # the last of both
            self.connected = True
            self._waiting.ring_all()  # hints of the time before were lost
            self._following.ring()
        elif message["type"] == "message":
            self._pass_on(message["channel"], message["data"])
        return True

    def _pass_on(self, channel: str, hint: str) -> None:
        if channel == FEED:
            self._following.ring()
        else:
            self._waiting.ring(hint)
