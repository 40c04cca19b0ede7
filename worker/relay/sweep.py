"""The sweep: rows that are due become messages. It only sends; everything passes the claim."""

from config.celery import AGAIN, QUEUE
from worker.broker.queues import Sender
from worker.store.schedule import Due, Lane, Schedule

#: A queue is fed only while it is shorter than this, so that backlog and recovery don't hurt each other. Two busy
#: workers of 32 threads empty it in about a second.
SHORT_QUEUE = 200
#: The same for rows never claimed, whose own message may still wait there: near the end of it, so that few have two.
SHORT_NEW_QUEUE = 50


class Sweep:
    """Feeds the two queues from the rows that are due."""

    def __init__(self, schedule: Schedule, sender: Sender) -> None:
        self._schedule = schedule
        self._sender = sender

    def turn(self) -> bool:
        """Send what is due and has room; say whether anything was sent. Raises `BrokerAway`."""
        sent = self._feed(AGAIN, [Lane.LEASED, Lane.PARKED], SHORT_QUEUE)
        sent += self._feed(QUEUE, [Lane.NEVER_CLAIMED], SHORT_NEW_QUEUE)
        sent += self._send(self._schedule.take_overdue(SHORT_QUEUE))
        return sent > 0

    def _feed(self, queue: str, lanes: list[Lane], short: int) -> int:
        room, sent = short - self._sender.waiting(queue), 0
        for lane in lanes:
            if room > sent:
                sent += self._send(self._schedule.take(lane, room - sent))
        return sent

    def _send(self, due: list[Due]) -> int:
        for row in due:
            self._sender.again(row.receipt_id, row.fence)
        return len(due)
