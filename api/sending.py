"""Messages to the broker, sent beside the requests: no answer waits for the broker, whatever becomes of it.

A message that isn't sent costs two seconds: its row is due by then, and the sweep sends it.
"""

import queue
import time
from contextlib import suppress
from threading import Thread
from typing import Any

import structlog

from worker.broker.queues import BrokerAway, Sender

log = structlog.get_logger(__name__)

#: When the row of a new job is due: until then its message has time to bring it to a worker.
DUE_SECONDS = 2.0
#: An older message would only be the second copy of the sweep's.
_USEFUL_SECONDS = 1.5
#: A broker that is away isn't asked again for so long.
_AWAY_SECONDS = 1.0
#: More than can be sent while they are useful.
_MOST_WAITING = 10_000
#: A process that ends gives its last messages this long.
_LAST_SECONDS = 1.0


class Outgoing:
    """Sends new jobs from one thread of its own, in order."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._waiting: queue.Queue[tuple[float, dict[str, Any]] | None] = queue.Queue(_MOST_WAITING)
        self._away_until = 0.0
        self._thread = Thread(target=self._run, name="outgoing", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def send(self, document: dict[str, Any]) -> None:
        """Have the job sent soon, or leave it to the sweep. Never waits."""
        with suppress(queue.Full):
            self._waiting.put_nowait((time.monotonic(), document))

    def close(self) -> None:
        """Send what waits, for a moment at most."""
        with suppress(queue.Full):
            self._waiting.put_nowait(None)
        self._thread.join(_LAST_SECONDS)

    def _run(self) -> None:
        while (item := self._waiting.get()) is not None:
            asked, document = item
            now = time.monotonic()
            if now >= self._away_until and now < asked + _USEFUL_SECONDS:
                self._send(document)

    def _send(self, document: dict[str, Any]) -> None:
        try:
            self._sender.new(document)
        except BrokerAway as away:
            self._pause(str(away))
        except Exception as error:  # noqa: BLE001 — a thread that ends sends nothing any more
            self._pause(type(error).__name__)

    def _pause(self, error: str) -> None:
        self._away_until = time.monotonic() + _AWAY_SECONDS
        log.warning("broker.away", error=error)
