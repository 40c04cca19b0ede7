"""Threads for what blocks: as many as the database gets connections from one process."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from confirmation.errors import StoreBusy, StoreUnavailable
from worker.store.engine import MOST_CONNECTIONS

#: Who waited so long for a thread is told to come again, so that a line that formed while the database was away is
#: gone soon after. Longer than the database may work on one statement.
PATIENCE_SECONDS = 5.0

#: A database that is frozen answers nothing, not even that it is too late. Longer than patience and one statement.
SILENT_SECONDS = 12.0

Answer = TypeVar("Answer")


class Threads:
    """Runs calls to the database beside the event loop."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(MOST_CONNECTIONS, "database")

    async def run(self, call: Callable[..., Answer], *arguments: object) -> Answer:
        """Run the call in a thread.

        Raises `StoreBusy` when no thread was free in time: nothing was done; `StoreUnavailable` when the database was
        silent for longer than its own time-outs allow: it may or may not have been done.
        """
        latest = time.monotonic() + PATIENCE_SECONDS
        running = asyncio.get_running_loop().run_in_executor(self._pool, _in_time, latest, call, arguments)
        try:
            return await asyncio.wait_for(asyncio.shield(running), SILENT_SECONDS)
        except TimeoutError:
            running.add_done_callback(_heard)
            raise StoreUnavailable("the database is silent") from None

    def close(self) -> None:
        """Drop what hasn't begun."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _heard(running: "asyncio.Future[Answer]") -> None:
    """Take note of what nobody waits for any more."""
    if not running.cancelled():
        running.exception()


def _in_time(latest: float, call: Callable[..., Answer], arguments: tuple[object, ...]) -> Answer:
    if time.monotonic() > latest:
        raise StoreBusy("no thread became free in time")
    return call(*arguments)
