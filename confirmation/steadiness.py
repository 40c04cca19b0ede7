"""Whether the database's clock goes on steadily, held against this process's own.

Rows are timed by the database's clock: when a submit can have ended, how far two looks are apart. Where that clock is
set forward (by a person, by a failover to a machine whose clock is ahead), it says that what was just now is long ago,
and a second submit would be sent while the first is at work. Set back, it only makes everybody wait.

What a process can't know: a jump before its first claim, and two jumps between two of its claims but for their sum.
"""

from confirmation.confirmation import Hold

#: A step forward by more than this is a jump. Less than what two looks may be too close together by; far more than two
#: clocks drift apart between two claims, unless a process was idle for long, which then takes more time for nothing.
JUMP_SECONDS = 0.2


class Steadiness:
    """Notices, claim by claim, that the database's clock has jumped forward since the claim before."""

    def __init__(self) -> None:
        #: How far the database's clock was ahead of this process's at most, by the last claim.
        self._ahead: float | None = None
        self._jumped_at = float("-inf")

    def claimed(self, hold: Hold, tick: float) -> None:
        """Learn from a claim that was answered at this moment of the monotonic clock."""
        told = hold.granted_at.timestamp()
        if self._ahead is not None and told - tick > self._ahead + JUMP_SECONDS:
            self._jumped_at = tick
        self._ahead = told - hold.granted

    def lasts(self, tick: float) -> float:
        """Say for how many seconds it has gone on steadily, as far as this process knows."""
        return tick - self._jumped_at
