"""The budget: so many calls a second to the gateway, all workers together.

The rate is kept in Redis as the moment at which the next call is free (GCRA): calls are spread evenly, without the two
bursts that meet at a window's edge. Without Redis each process keeps the whole rate by itself.
"""

import threading
import time
from collections.abc import Callable

import structlog
from redis import Redis
from redis.exceptions import RedisError

log = structlog.get_logger(__name__)

#: A buyer who waits may wait so long for a free call; then the receipt is parked.
PATIENCE_SECONDS = 3.0
#: What wasn't used just before may be used at once, so far back.
BURST_SECONDS = 0.2

_KEY = "payconfirm:budget"

#: Takes the next free call and says how many seconds away it is; "-" where that is too far, and nothing is taken. The
#: deletion is for a full Redis: it refuses a script's first write if that needs memory, and none of the later ones.
_TAKE = """
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local free = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now - tonumber(ARGV[3]))
local wait = math.max(free - now, 0)
if wait > tonumber(ARGV[2]) then return '-' end
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[1], string.format('%.6f', free + tonumber(ARGV[1])), 'EX', 60)
return string.format('%.6f', wait)
"""


class Budget:
    """Implements `confirmation.ports.Budget`: a call that decides for a waiting buyer goes before all others."""

    def __init__(self, redis: Redis, rate: float, sleep: Callable[[float], None] = time.sleep) -> None:
        self._redis = redis
        self._interval = 1 / rate
        self._sleep = sleep
        self._lock = threading.Lock()
        self._free = 0.0

    def __call__(self, *, urgent: bool) -> bool:
        """Take one call, waiting for it if a buyer waits, too; False where none is free in time."""
        patience = PATIENCE_SECONDS if urgent else 0.0
        wait = self._shared(patience)
        if wait is None:
            return False
        self._sleep(wait)
        return True

    def _shared(self, patience: float) -> float | None:
        try:
            said = self._redis.eval(_TAKE, 1, _KEY, self._interval, patience, BURST_SECONDS)
        except RedisError as error:
            log.warning("budget.alone", error=type(error).__name__)
            return self._alone(patience)
        return None if said == "-" else float(str(said))

    def _alone(self, patience: float) -> float | None:
        with self._lock:
            now = time.monotonic()
            free = max(self._free, now - BURST_SECONDS)
            wait = max(free - now, 0.0)
            if wait > patience:
                return None
            self._free = free + self._interval
            return wait
