"""The relay hears hints, whatever else is said on their channels."""

import threading

from tests.workers import PATIENCE_SECONDS, until
from worker.broker.hints import OUTBOX
from worker.broker.redis import make_redis
from worker.relay.duties import Duty, _listen


def test_a_hint_that_is_no_text_does_not_end_the_hearing(redis_url):
    duty, stop = Duty("results", lambda: False, PATIENCE_SECONDS), threading.Event()
    relay, somebody = make_redis(redis_url), make_redis(redis_url)
    thread = threading.Thread(target=_listen, args=(relay, [duty], stop))
    thread.start()
    try:
        until(lambda: somebody.publish(OUTBOX, ""))
        for hint in (b"\xff", ""):
            assert duty.woken.wait(PATIENCE_SECONDS)
            duty.woken.clear()
            assert somebody.publish(OUTBOX, hint) == 1
        assert duty.woken.wait(PATIENCE_SECONDS)
    finally:
        stop.set()
        thread.join()
        relay.close()
        somebody.close()
