"""Threads for what blocks: no more than the database gives connections to one process, or little more.

What producers hand in and ask for has most of them, so that nothing else ever holds it up.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from confirmation.errors import StoreBusy, StoreUnavailable

#: For what producers hand in and ask for; for all else, which is as quick, on duty and in the feed; and for resolving,
#: which waits for the gateway and needs the database only in between. The first two share the process's connections.
DOOR_THREADS, ASIDE_THREADS, RESOLVING_THREADS = 6, 2, 2

#: For the gateway's webhooks, which anybody may send; and for those of them that meet a row which somebody is writing:
#: in a producer's open transaction that may take as long as it likes.
HOOK_THREADS, IN_LINE_THREADS = 1, 1

#: For whoever asks whether the process is ready: a balancer, which gives up within a few seconds itself.
READY_THREADS, READY_SECONDS = 1, 3.0

#: A look and, where it finds money that must go back, a cancel, each with its lease.
RESOLVING_SECONDS = 45.0

#: Who waited so long for a thread is told to come again, so that a line that formed while the database was away is
#: gone soon after. Longer than the database may work on one statement.
PATIENCE_SECONDS = 5.0

#: A database that is frozen answers nothing, not even that it is too late. Longer than patience and one statement.
SILENT_SECONDS = 12.0

Answer = TypeVar("Answer")


class Threads:
    """Runs calls to the database beside the event loop."""

    def __init__(
        self, most: int = DOOR_THREADS, name: str = "database", silent_seconds: float = SILENT_SECONDS
    ) -> None:
        self._pool = ThreadPoolExecutor(most, name)
        self._silent_seconds = silent_seconds

    async def run(self, call: Callable[..., Answer], *arguments: object) -> Answer:
        """Run the call in a thread.

        Raises `StoreBusy` when no thread was free in time: nothing was done; `StoreUnavailable` when the database was
        silent for longer than its own time-outs allow: it may or may not have been done.
        """
        latest = time.monotonic() + PATIENCE_SECONDS
        running = asyncio.get_running_loop().run_in_executor(self._pool, _in_time, latest, call, arguments)
        try:
            return await asyncio.wait_for(asyncio.shield(running), self._silent_seconds)
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
