"""How fast one key may post."""

import math
import time
from collections.abc import Callable

from api.problems import Problem


class PostRate:
    """A bucket of tokens for each key, in this process: filled `rate` a second, as many in one go as a second has.

    There are as many buckets as keys, so they need no clearing.
    """

    def __init__(self, rate: float, tick: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._burst = max(1.0, rate)
        self._tick = tick
        self._buckets: dict[bytes, tuple[float, float]] = {}

    def take(self, caller: bytes) -> None:
        """Take a token, or refuse with 429 and say when there is one again."""
        if self._rate == 0:
            return
        now = self._tick()
        tokens, since = self._buckets.get(caller, (self._burst, now))
        tokens = min(self._burst, tokens + (now - since) * self._rate)
        if tokens < 1:
            wait = math.ceil((1 - tokens) / self._rate)
            detail = f"This key posts faster than {self._rate:g} a second; nothing was accepted."
            raise Problem(429, detail, headers={"Retry-After": str(wait)})
        self._buckets[caller] = (tokens - 1, now)
