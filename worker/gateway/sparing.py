"""Sparing a gateway that is away: look-ups stop, a few a second ask whether it is back, and the first word says so.

The state is one hash in Redis, so that all workers and the relay know the same: how many calls in a row got no word,
since when the gateway is away, until when nobody asks. Only look-ups are spared: a submit or a cancel comes right after
a look-up that was answered. Without Redis nothing is spared.
"""

import time
from typing import cast

import structlog
from redis import Redis
from redis.exceptions import RedisError

from confirmation.answers import Answer, Silence
from confirmation.ports import Gateway

log = structlog.get_logger(__name__)

#: So many calls in a row without a word, of all workers together, and the gateway is away.
MOST_SILENT = 10
#: While it is away it is asked this often, by all workers together.
PROBE_SECONDS = 0.2
#: The longest that a `Retry-After` is obeyed: an hour, said by mistake, must not stop the shop.
LONGEST_PAUSE_SECONDS = 60.0
#: Each process reads the state this often, and asks the script only while something is amiss.
READ_SECONDS = 0.2
#: What nobody has written for so long is forgotten.
_FORGOTTEN_SECONDS = 600

SPARED = Silence("not asked: the gateway is away", ended=True, asked=False)

_KEY = "payconfirm:gateway"

#: A time that lies further ahead than any that is ever written means that Redis's clock was set back, or that another
#: server took over: waiting for it might take hours, so it counts as now.
_NOW = f"""
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local function write(name, value) redis.call('HSET', KEYS[1], name, string.format('%.6f', value)) end
local function read(name)
    local at = tonumber(redis.call('HGET', KEYS[1], name) or '0')
    if at > now + {LONGEST_PAUSE_SECONDS} + 1 then at = now write(name, at) end
    return at
end
"""

#: Counts a call without a word; says 1 where the gateway is away from now on. `paused` is the gateway's own wish, which
#: no word of another call takes back.
_SILENT = (
    _NOW
    + """
local went, silent, pause = 0, redis.call('HINCRBY', KEYS[1], 'silent', 1), tonumber(ARGV[1])
if pause > 0 then write('paused', math.max(read('paused'), now + pause)) end
if pause > 0 or silent >= tonumber(ARGV[2]) then
    if read('since') == 0 then write('since', now) went = 1 end
    write('ask_at', math.max(read('ask_at'), now + math.max(pause, tonumber(ARGV[3]))))
end
redis.call('EXPIRE', KEYS[1], ARGV[4])
return went
"""
)

#: Whether one more call may ask.
_MAY = (
    _NOW
    + """
if read('since') == 0 then return 1 end
if now < read('ask_at') then return 0 end
write('ask_at', now + tonumber(ARGV[1]))
return 1
"""
)

#: A word: it is there. Says for how many seconds it was away; "-" where it wasn't, or must still be left alone.
_WORD = (
    _NOW
    + """
if now < read('paused') then
    redis.call('HSET', KEYS[1], 'silent', 0)
    return '-'
end
local since = read('since')
redis.call('DEL', KEYS[1])
if since == 0 then return '-' end
return string.format('%.1f', math.max(now - since, 0))
"""
)


class SparedGateway:
    """Implements `confirmation.ports.Gateway` around another one."""

    def __init__(self, gateway: Gateway, redis: Redis) -> None:
        self._gateway = gateway
        self._redis = redis
        self._read_at = -READ_SECONDS
        self._amiss = False

    def look_up(self, receipt_id: str, *, start_by: float) -> Answer:
        """Ask, unless the gateway is away and was asked a moment ago."""
        if not self._may_ask():
            return SPARED
        return self._hear(self._gateway.look_up(receipt_id, start_by=start_by))

    def submit(self, receipt_id: str, *, start_by: float) -> Answer:
        """As the gateway."""
        return self._hear(self._gateway.submit(receipt_id, start_by=start_by))

    def cancel(self, receipt_id: str, cancel_id: str, *, start_by: float) -> Answer:
        """As the gateway."""
        return self._hear(self._gateway.cancel(receipt_id, cancel_id, start_by=start_by))

    def _may_ask(self) -> bool:
        try:
            if time.monotonic() - self._read_at > READ_SECONDS:
                self._read_at = time.monotonic()
                self._amiss = bool(self._redis.exists(_KEY))
            return not self._amiss or bool(self._redis.eval(_MAY, 1, _KEY, PROBE_SECONDS))
        except RedisError as error:
            self._complain(error)
            return True

    def _hear(self, answer: Answer) -> Answer:
        try:
            if isinstance(answer, Silence):
                self._amiss = True
                pause = min(answer.retry_after_seconds or 0.0, LONGEST_PAUSE_SECONDS)
                if self._redis.eval(_SILENT, 1, _KEY, pause, MOST_SILENT, PROBE_SECONDS, _FORGOTTEN_SECONDS):
                    log.warning("gateway.away", last=answer.why, pause_seconds=pause)
            elif self._amiss:
                away = str(self._redis.eval(_WORD, 1, _KEY))
                if away != "-":
                    log.info("gateway.back", away_seconds=float(away))
        except RedisError as error:
            self._complain(error)
        return answer

    def _complain(self, error: RedisError) -> None:
        self._amiss = False
        log.warning("gateway.unspared", error=type(error).__name__)


def away_seconds(redis: Redis) -> float | None:
    """For how long the gateway has been away; None where it is there, as far as anybody knows."""
    try:
        since = cast("str | None", redis.hget(_KEY, "since"))
        if since is None:
            return None
        seconds, microseconds = redis.time()
    except RedisError:
        return None
    return max(seconds + microseconds / 1_000_000 - float(since), 0.0)
