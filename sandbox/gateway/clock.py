"""The gateway's clock: real time plus what a test has added."""

import time
from datetime import datetime, timedelta, timezone

#: Bootpay writes all its times in Korean time.
KST = timezone(timedelta(hours=9))


class Clock:
    """Time that runs by itself, never backwards, and jumps forward when told."""

    def __init__(self) -> None:
        self._started = time.time()
        self._monotonic = time.monotonic()
        self._added = 0.0

    def seconds(self) -> float:
        """Say how many seconds have passed since 1970, the added ones included."""
        return self._started + (time.monotonic() - self._monotonic) + self._added

    def now(self) -> datetime:
        """Say what time it is in Korea."""
        return datetime.fromtimestamp(self.seconds(), tz=KST)

    def advance(self, seconds: float) -> None:
        """Jump forward."""
        self._added += seconds
