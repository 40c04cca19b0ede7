"""Time that moves only when it is told to."""

from datetime import UTC, datetime, timedelta

#: Any day will do; a fixed one makes every story the same each time.
START = datetime(2026, 11, 23, 1, tzinfo=UTC)


class Clock:
    """The monotonic clock and UTC, moving together; UTC can also jump by itself."""

    def __init__(self) -> None:
        # Whole microseconds: what databases keep, and sums of them are exact.
        self._microseconds = 0
        self._jumped = timedelta()

    def tick(self) -> float:
        """Give the monotonic clock, in seconds."""
        return self._microseconds / 1e6

    def now(self) -> datetime:
        """Give the time in UTC."""
        return START + self._jumped + timedelta(microseconds=self._microseconds)

    def advance(self, seconds: float) -> None:
        """Let time pass on both clocks."""
        self._microseconds += round(seconds * 1e6)

    def jump(self, seconds: float) -> None:
        """Set UTC forward or back; no time passes."""
        self._jumped += timedelta(seconds=seconds)
