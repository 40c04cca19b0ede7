"""The process's access token: asked for when first needed, by one thread at a time, and renewed before it ends."""

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from confirmation.answers import Silence
from worker.gateway.call import Call

#: Bootpay's tokens live for 30 minutes from their first issue.
LIFE_SECONDS = 30 * 60
#: For its first 25 minutes everybody is given the same token; a renewal before that changes nothing.
RENEWED_BEFORE_END_SECONDS = 5 * 60
#: It becomes a header, so nothing else ever.
_SHAPE = re.compile(r"[\x21-\x7e]{1,4096}")


@dataclass(frozen=True)
class Token:
    """An access token with its times. Its repr doesn't show it."""

    value: str = field(repr=False)
    renew_at: float
    ends_at: float

    @classmethod
    def of(cls, value: str, life_seconds: int, *, asked_at: float) -> "Token":
        """Make a token that has so long to live. Raises `ValueError` for one that can't be used."""
        if not _SHAPE.fullmatch(value) or life_seconds <= 0:
            raise ValueError("not a token")
        life = min(life_seconds, LIFE_SECONDS)
        ends_at = asked_at + life
        return cls(value, ends_at - min(RENEWED_BEFORE_END_SECONDS, life / 2), ends_at)


#: Asks the gateway for a token, in the time that the call has.
Ask = Callable[[Call], Token | Silence]


class Tokens:
    """Hands the token to all threads."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._asking = threading.Lock()
        self._token: Token | None = None

    def get(self, call: Call, refused: Token | None = None) -> Token | Silence:
        """Return a token other than the one refused, or say why there is none; wait only as long as the call may.

        A token that can't be renewed is used to its end.
        """
        old = self._token
        if old and old is not refused and call.tick() < old.renew_at:
            return old
        renewed = self._renew(call, old)
        if isinstance(renewed, Silence) and old and old is not refused and call.tick() < old.ends_at:
            return old
        return renewed

    def _renew(self, call: Call, old: Token | None) -> Token | Silence:
        if not self._asking.acquire(timeout=max(0.0, call.ends_at - call.tick())):
            return Silence("no token in time", ended=True)
        try:
            # Another thread may have renewed it while this one waited.
            if self._token and self._token is not old:
                return self._token
            renewed = self._ask(call)
            if isinstance(renewed, Token):
                self._token = renewed
            return renewed
        finally:
            self._asking.release()
