"""The sweep: rows that are due become messages. It only sends; everything passes the claim."""

from collections.abc import Callable

from config.celery import AGAIN, QUEUE
from worker.broker.queues import BrokerAway, Sender
from worker.store.schedule import Due, Lane, Schedule

#: A queue is fed only while it is shorter than this, so that backlog and recovery don't hurt each other. Two busy
#: workers of 32 threads empty it in about a second.
SHORT_QUEUE = 200
#: The same for rows never claimed, whose own message may still wait there: near the end of it, so that few have two.
SHORT_NEW_QUEUE = 50
#: While the gateway is away a turn sends all that is past its deadline, since that ends or is put before people without
#: a word of the gateway; and of each lane so many. All others wait in their rows, and come in order when it is back.
SPARED = 50
#: What was parked in the last seconds before it was known to be away, is woken too.
_JUST_BEFORE_SECONDS = 60.0


class Sweep:
    """Feeds the two queues from the rows that are due. `away` says for how many seconds the gateway has been away."""

    def __init__(self, schedule: Schedule, sender: Sender, away: Callable[[], float | None] = lambda: None) -> None:
        self._schedule = schedule
        self._sender = sender
        self._away = away
        self._was_away: float | None = None

    def turn(self) -> bool:
        """Send what is due and has room; say whether there may be more at once. Raises `BrokerAway`."""
        away = self._away()
        if away is not None:
            self._was_away = away
            self._send(self._schedule.take_late(SHORT_QUEUE))
            for lane in Lane:
                self._send(self._schedule.take(lane, SPARED))
            return False
        if self._was_away is not None:
            self._schedule.wake(self._was_away + _JUST_BEFORE_SECONDS)
            self._was_away = None
        sent = self._feed(AGAIN, [Lane.LEASED, Lane.PARKED], SHORT_QUEUE)
        sent += self._feed(QUEUE, [Lane.NEVER_CLAIMED], SHORT_NEW_QUEUE)
        return sent + self._send_overdue() > 0

    def _feed(self, queue: str, lanes: list[Lane], short: int) -> int:
        room, sent = short - self._sender.waiting(queue), 0
        for lane in lanes:
            if room > sent:
                sent += self._send(self._schedule.take(lane, room - sent))
        return sent

    def _send_overdue(self) -> int:
        overdue = self._schedule.take_overdue(SHORT_QUEUE)
        try:
            return self._send(overdue)
        except BrokerAway:
            self._schedule.give_back(overdue)
            raise

    def _send(self, due: list[Due]) -> int:
        for row in due:
            self._sender.again(row.receipt_id, row.fence)
        return len(due)
