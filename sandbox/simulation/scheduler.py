"""Runs what is due, one worker inside another's waits: always in the same order."""

import heapq
from collections.abc import Callable
from itertools import count

from sandbox.twins import Clock, TwinStore
from sandbox.twins.clock import START

#: So many runs may wait inside each other; more would only wait longer.
MOST_NESTED = 6


class Scheduler:
    """What is to happen, and when. While a run waits, whatever is due meanwhile runs inside its wait."""

    def __init__(self, clock: Clock, store: TwinStore, sweep: Callable[[], None]) -> None:
        self._clock = clock
        self._store = store
        self._sweep = sweep
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._nested = 0

    def after(self, seconds: float, what: Callable[[], None]) -> None:
        """Have this happen after so many seconds."""
        heapq.heappush(self._events, (self._clock.tick() + seconds, next(self._order), what))

    def wait(self, seconds: float) -> None:
        """Let time pass, and run what falls due in it."""
        until = self._clock.tick() + seconds
        while not self.full and self._next_at() <= until:
            self.run_next()
        if self._clock.tick() < until:
            self._clock.advance(until - self._clock.tick())

    @property
    def full(self) -> bool:
        """Whether nothing would run inside another wait: a long one would hold everybody up and show nothing."""
        return self._nested >= MOST_NESTED

    def run_next(self) -> bool:
        """Run the next event, or the sweep where a row is due before it; False where there is neither."""
        due_at = self._due_at()
        event_at = self._events[0][0] if self._events else float("inf")
        if min(due_at, event_at) == float("inf"):
            return False
        self._clock.advance(max(min(due_at, event_at) - self._clock.tick(), 0))
        self._nested += 1
        try:
            self._sweep() if due_at < event_at else heapq.heappop(self._events)[2]()
        finally:
            self._nested -= 1
        return True

    def _next_at(self) -> float:
        return min(self._due_at(), self._events[0][0] if self._events else float("inf"))

    def _due_at(self) -> float:
        due_at = self._store.next_due()
        return (due_at - START).total_seconds() if due_at else float("inf")
