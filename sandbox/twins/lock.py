"""The lock of a receipt, as a Redis key that runs out."""

from contextlib import AbstractContextManager
from types import TracebackType

from sandbox.twins.clock import Clock

#: A second less than the first lease.
LIVES_SECONDS = 9


class TwinLock:
    """A `confirmation.ports.Lock`. With `away` its server is lost: everybody holds it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._held: dict[str, tuple[object, float]] = {}
        self.away = False

    def __call__(self, receipt_id: str) -> AbstractContextManager[bool]:
        """Hold the receipt's lock, or say False at once when another worker does."""
        return _Holding(self, receipt_id)

    def take(self, receipt_id: str) -> object | None:
        """Set the key to a value of one's own and give that; None where the key is set."""
        if self.away:
            return object()
        held = self._held.get(receipt_id)
        if held and held[1] > self._clock.tick():
            return None
        mine = object()
        self._held[receipt_id] = (mine, self._clock.tick() + LIVES_SECONDS)
        return mine

    def release(self, receipt_id: str, mine: object | None) -> None:
        """Delete the key if it still has this value."""
        if mine is not None and self._held.get(receipt_id, (None,))[0] is mine:
            del self._held[receipt_id]


class _Holding:
    def __init__(self, lock: TwinLock, receipt_id: str) -> None:
        self._lock = lock
        self._receipt_id = receipt_id
        self._mine: object | None = None

    def __enter__(self) -> bool:
        self._mine = self._lock.take(self._receipt_id)
        return self._mine is not None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # A killed worker's error (no Exception) leaves the key to run out.
        if kind is None or issubclass(kind, Exception):
            self._lock.release(self._receipt_id, self._mine)
