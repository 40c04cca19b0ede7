"""RabbitMQ's publisher confirms for a batch: many are under way at once, but of each receipt only one.

Waiting for each alone costs each a round trip and a write to disk. Sending all at once would publish a receipt's second
event although its first was refused. A new connection begins with one and doubles: where connections keep breaking,
or RabbitMQ breaks them over one event, those before it are confirmed all the same.
"""

from time import monotonic
from typing import Any

from worker.store.outbox import Announcement

#: How long RabbitMQ may take to answer: a write to disk by a quorum of its nodes, a short pause.
ANSWER_SECONDS = 3.0
_MOST_AT_ONCE = 256


class Refused(Exception):
    """RabbitMQ didn't take an event: a bound queue is full and refuses, or its leader is being changed."""


class Confirms:
    """What was sent over one channel and isn't confirmed yet."""

    def __init__(self, channel: Any) -> None:  # noqa: ANN401 — kombu has no types
        channel.confirm_select()
        channel.events["basic_ack"].add(self._acked)
        channel.events["basic_nack"].add(self._nacked)
        self._connection = channel.connection
        self._at_once = 1
        self._sent = 0
        self._open: dict[int, Announcement] = {}
        self._taken: list[Announcement] = []
        self._refused = False

    def before(self, event: Announcement, taken: list[Announcement]) -> None:
        """Note an event that is sent next, once all that its receipt still has under way is confirmed.

        Raises as `wait` does. Answers are also heard while something is sent: a refused event is under way no more.
        """
        of_its_receipt = any(other.receipt_id == event.receipt_id for other in self._open.values())
        if self._refused or of_its_receipt or len(self._open) >= self._at_once:
            self.wait(taken)
        self._sent += 1
        self._open[self._sent] = event

    def wait(self, taken: list[Announcement]) -> None:
        """Wait for all that is under way, and add what RabbitMQ has taken.

        Raises `Refused`, `TimeoutError` where it doesn't answer, or what the connection raises.
        """
        ends_at = monotonic() + ANSWER_SECONDS
        try:
            while self._open and (left := ends_at - monotonic()) > 0:
                self._connection.drain_events(timeout=left)
        finally:
            taken += self._taken
            self._taken.clear()
        if self._refused:
            raise Refused
        if self._open:
            raise TimeoutError
        self._at_once = min(self._at_once * 2, _MOST_AT_ONCE)

    def _acked(self, tag: int, multiple: bool) -> None:  # noqa: FBT001 — py-amqp's signature
        self._taken += self._answered(tag, multiple=multiple)

    def _nacked(self, tag: int, multiple: bool) -> None:  # noqa: FBT001 — as above
        self._refused = True
        self._answered(tag, multiple=multiple)

    def _answered(self, tag: int, *, multiple: bool) -> list[Announcement]:
        tags = [open_ for open_ in self._open if open_ == tag or (multiple and open_ < tag)]
        return [self._open.pop(each) for each in tags]
