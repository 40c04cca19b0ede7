"""Waiting for a result without a thread for each who waits.

The row is the truth. A hint says when to look at it; where hints get lost it is looked at anyway, ever more rarely.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from api.bells import heard
from confirmation.errors import StoreBusy, StoreUnavailable

Read = Callable[[str], Awaitable[dict[str, Any] | None]]

#: How long the first look without a hint is away, and how long any.
_FIRST_LOOK_SECONDS = 2.0
_LONGEST_LOOK_SECONDS = 8.0


class Waiting:
    """Those who wait in this process, by receipt. Used from the event loop only."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._bells: dict[str, set[asyncio.Event]] = {}
        self._closed = False

    async def result(self, receipt_id: str, wait_seconds: float) -> dict[str, Any] | None:
        """Give the result once it is final, or how it stands when the time is over; None for an unknown receipt."""
        clock = asyncio.get_running_loop().time
        end = clock() + wait_seconds
        pause = _FIRST_LOOK_SECONDS
        document = None
        with self._bell(receipt_id) as bell:  # hung up before the first look, so that no hint falls between
            while True:
                bell.clear()
                document = await self._look(receipt_id, document)
                left = end - clock()
                if document is None or document["final"] or left <= 0 or self._closed:
                    return document
                await heard(bell, min(pause, left))
                pause = min(2 * pause, _LONGEST_LOOK_SECONDS)

    def ring(self, receipt_id: str) -> None:
        """Have those who wait for this receipt look at its row."""
        for bell in self._bells.get(receipt_id, ()):
            bell.set()

    def ring_all(self) -> None:
        """Have everybody look: hints may have been lost."""
        for receipt_id in self._bells:
            self.ring(receipt_id)

    def close(self) -> None:
        """Answer everybody now: this process ends."""
        self._closed = True
        self.ring_all()

    async def _look(self, receipt_id: str, known: dict[str, Any] | None) -> dict[str, Any] | None:
        """Read the row. A database that goes away during a wait is none of the waiter's business."""
        try:
            return await self._read(receipt_id)
        except (StoreBusy, StoreUnavailable):
            if known is None:
                raise
            return known

    @contextmanager
    def _bell(self, receipt_id: str) -> Iterator[asyncio.Event]:
        bell = asyncio.Event()
        bells = self._bells.setdefault(receipt_id, set())
        bells.add(bell)
        try:
            yield bell
        finally:
            bells.discard(bell)
            if not bells:
                del self._bells[receipt_id]
