"""Time that moves only when it is told to."""

from datetime import UTC, datetime, timedelta

#: Any day will do; a fixed one makes every story the same each time.
START = datetime(2026, 11, 23, 1, tzinfo=UTC)


class Clock:
    """The workers' monotonic clock and the database's UTC, moving together; UTC can also jump by itself."""

    def __init__(self) -> None:
        # Whole microseconds: what databases keep, and sums of them are exact.
        self._microseconds = 0
        self._tick = 0.0
        #: The time in UTC when the monotonic clock was at 0.
        self._origin = START
        self._now: datetime | None = None

    def tick(self) -> float:
        """Give the monotonic clock, in seconds."""
        return self._tick

    def now(self) -> datetime:
        """Give the time in UTC."""
        if self._now is None:
            self._now = self._origin + timedelta(microseconds=self._microseconds)
        return self._now

    def tick_at(self, moment: datetime) -> float:
        """Say what the monotonic clock will show at a moment in UTC, unless UTC jumps until then."""
        return (moment - self._origin).total_seconds()

    def advance(self, seconds: float) -> None:
        """Let time pass on both clocks."""
        self._microseconds += round(seconds * 1e6)
        self._tick = self._microseconds / 1e6
        self._now = None

    def jump(self, seconds: float) -> None:
        """Set UTC forward or back; no time passes."""
        self._origin += timedelta(seconds=seconds)
        self._now = None
