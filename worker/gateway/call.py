"""The time that one call has, known to every connection which the calling thread uses."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace

from confirmation.errors import ClaimLost


@dataclass
class Call:
    """One phase's work at the gateway: when it ends, when it must have begun, and whether it has."""

    tick: Callable[[], float]
    #: No byte is read or sent after this.
    ends_at: float
    #: The call's own bytes are sent before this, or not at all.
    start_by: float
    #: No more bytes are read, of one answer and of all that comes before it.
    most_bytes: float = math.inf
    #: Whether the gateway may have heard of it.
    sent: bool = field(default=False, init=False)

    def remaining_seconds(self) -> float:
        """How long a socket may wait. Raises `TimeoutError` when there is nothing left."""
        left = self.ends_at - self.tick()
        if left <= 0:
            raise TimeoutError("the call's time is up")
        return left

    @property
    def over(self) -> bool:
        """Whether the deadline has passed."""
        return self.tick() >= self.ends_at

    def check_start(self) -> None:
        """Raise `ClaimLost` once it is too late to send the first byte."""
        if self.tick() >= self.start_by:
            raise ClaimLost("too little of the lease is left for a call to the gateway")

    def begin_to_send(self) -> None:
        """Take note that bytes go out now, or raise `ClaimLost`. What has begun may finish sending."""
        if not self.sent:
            self.check_start()
        self.sent = True

    def again(self) -> "Call":
        """The same call made once more, in the time that is left of it."""
        return replace(self)

    def for_token(self) -> "Call":
        """The asking for a token that this call needs: it moves no money, so only the deadline binds it."""
        return replace(self, start_by=math.inf)


_current: ContextVar[Call] = ContextVar("call")
current = _current.get


@contextmanager
def calling(call: Call) -> Iterator[None]:
    """Let the connections that this thread uses know the call."""
    token = _current.set(call)
    try:
        yield
    finally:
        _current.reset(token)
