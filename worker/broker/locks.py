"""The lock per receipt: it makes duplicates cheap. Safety comes from the fence in the row."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import structlog
from redis import Redis
from redis.exceptions import RedisError

log = structlog.get_logger(__name__)

#: Deletes the lock only where it is still ours.
_RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"


class RedisLock:
    """Holds a receipt for one worker at a time, for at most `seconds`; never renewed.

    Without Redis everybody holds it: the work goes on, and duplicates only cost more.
    """

    def __init__(self, redis: Redis, seconds: float) -> None:
        self._redis = redis
        self._milliseconds = int(seconds * 1000)

    @contextmanager
    def __call__(self, receipt_id: str) -> Iterator[bool]:
        """Hold the receipt's lock, or say False at once when another worker does."""
        key, token = f"payconfirm:lock:{receipt_id}", uuid4().hex
        held = self._acquire(key, token)
        try:
            yield held
        finally:
            if held:
                self._release(key, token)

    def _acquire(self, key: str, token: str) -> bool:
        try:
            if self._redis.set(key, token, nx=True, px=self._milliseconds):
                return True
            return self._redis.get(key) == token
        except RedisError as error:
            log.warning("lock.unavailable", error=type(error).__name__)
            return True

    def _release(self, key: str, token: str) -> None:
        try:
            self._redis.eval(_RELEASE, 1, key, token)
        except RedisError as error:
            log.warning("lock.not_released", error=type(error).__name__)
