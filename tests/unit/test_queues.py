"""In which order a worker reads its queues."""

from config.celery import AGAIN, QUEUE
from worker.broker.queues import NEW_FIRST_EVERY, again_first


def test_what_comes_back_is_read_first_but_never_keeps_new_jobs_out():
    """
    With hanging look-ups the rows that come back can fill every thread for as long as their deadline lasts.
    """
    cycle = again_first()
    cycle.update([QUEUE, AGAIN])

    first = [cycle.consume(2)[0] for _ in range(4 * NEW_FIRST_EVERY)]

    assert first.count(QUEUE) == 4
    assert first[0] == AGAIN
