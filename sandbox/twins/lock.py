"""The lock of a receipt, as a Redis key that runs out."""

from collections.abc import Iterator
from contextlib import contextmanager

from sandbox.twins.clock import Clock

#: A second less than the first lease.
LIVES_SECONDS = 9


class TwinLock:
    """A `confirmation.ports.Lock`. With `away` its server is lost: everybody holds it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._held: dict[str, tuple[object, float]] = {}
        self.away = False

    @contextmanager
    def __call__(self, receipt_id: str) -> Iterator[bool]:
        """Hold the receipt's lock, or say False at once when another worker does."""
        mine = self._take(receipt_id)
        try:
            yield mine is not None
        except Exception:
            self._release(receipt_id, mine)
            raise
        # A killed worker (not an Exception) comes past neither of these and leaves its key to run out.
        self._release(receipt_id, mine)

    def _take(self, receipt_id: str) -> object | None:
        if self.away:
            return object()
        held = self._held.get(receipt_id)
        if held and held[1] > self._clock.tick():
            return None
        mine = object()
        self._held[receipt_id] = (mine, self._clock.tick() + LIVES_SECONDS)
        return mine

    def _release(self, receipt_id: str, mine: object | None) -> None:
        if mine is not None and self._held.get(receipt_id, (None,))[0] is mine:
            del self._held[receipt_id]
