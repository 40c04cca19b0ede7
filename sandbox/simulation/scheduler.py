"""Runs what is due, one worker inside another's waits: always in the same order."""

import heapq
from collections.abc import Callable
from datetime import datetime
from itertools import count

from sandbox.twins import Clock, TwinStore

#: So many runs may wait inside each other; more would only wait longer.
MOST_NESTED = 6
NEVER = float("inf")
#: When the next row is due by the database's clock, and by the monotonic one.
Due = tuple[datetime | None, float]


class Scheduler:
    """What is to happen, and when. While a run waits, whatever is due meanwhile runs inside its wait.

    It goes by the monotonic clock; rows are due by the database's, wherever that one has jumped to.
    """

    def __init__(self, clock: Clock, store: TwinStore, sweep: Callable[[], None]) -> None:
        self._clock = clock
        self._store = store
        self._sweep = sweep
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._nested = 0
        self._due: Due = (None, NEVER)

    def after(self, seconds: float, what: Callable[[], None]) -> None:
        """Have this happen after so many seconds."""
        heapq.heappush(self._events, (self._clock.tick() + seconds, next(self._order), what))

    def wait(self, seconds: float) -> None:
        """Let time pass, and run what falls due in it."""
        until = self._clock.tick() + seconds
        while not self.full and self.run_next(until):
            pass
        left = until - self._clock.tick()
        if left > 0:
            self._clock.advance(left)

    @property
    def full(self) -> bool:
        """Whether nothing would run inside another wait: a long one would hold everybody up and show nothing."""
        return self._nested >= MOST_NESTED

    def run_next(self, until: float = NEVER) -> bool:
        """Run the next event, or the sweep where a row is due before it; False where there is neither until then."""
        due_at = self._due_at()
        event_at = self._events[0][0] if self._events else NEVER
        at = min(due_at, event_at)
        if at > until or at == NEVER:
            return False
        behind = at - self._clock.tick()
        if behind > 0:
            self._clock.advance(behind)
        self._nested += 1
        try:
            self._sweep() if due_at < event_at else heapq.heappop(self._events)[2]()
        finally:
            self._nested -= 1
        return True

    def clock_jumped(self) -> None:
        """Know that what was due at a moment is due at another."""
        self._due = (None, NEVER)

    def _due_at(self) -> float:
        due_at = self._store.next_due()
        if due_at is not self._due[0]:
            self._due = (due_at, self._clock.tick_at(due_at) if due_at else NEVER)
        return self._due[1]
