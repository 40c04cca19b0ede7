"""The relay's loops, one thread each, so that a part of the world that is away holds up only its own duty."""

import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import structlog
from redis import Redis
from redis.exceptions import RedisError

from confirmation.errors import StoreBusy, StoreUnavailable
from worker.bootstrap import RelayParts
from worker.broker.hints import CALLBACKS, OUTBOX
from worker.broker.queues import BrokerAway
from worker.gateway.sparing import away_seconds
from worker.relay.sweep import Sweep
from worker.store.outbox import Announcement

log = structlog.get_logger(__name__)

#: So many announcements are carried out in one turn.
BATCH = 200
#: So many get their places in the feed in one turn, which costs no more than a few milliseconds.
PLACED_AT_ONCE = 1000
#: How long a duty sleeps when there is nothing to do and nobody wakes it. The sweep's is part of the 20 s within which
#: a dead worker's receipt moves again.
SWEEP_SECONDS = 0.5
OUTBOX_SECONDS = 1.0
CALLBACK_SECONDS = 0.5
DEAD_LETTER_SECONDS = 1.0
#: After a failure a duty rests this long, doubled each time, up to the longest.
REST_SECONDS, LONGEST_REST_SECONDS = 0.2, 5.0
#: The hint's subscription wakes up this often to see whether the relay is to end.
_HINT_SECONDS = 0.5


@dataclass
class Duty:
    """One loop: `turn` does what there is to do and says whether there was anything."""

    name: str
    turn: Callable[[], bool]
    idle_seconds: float
    woken: threading.Event = field(default_factory=threading.Event)


def run(parts: RelayParts) -> None:
    """Run every duty until SIGTERM or SIGINT; what a duty has begun it finishes."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    duties = duties_of(parts)
    threads = [threading.Thread(target=keep_turning, args=(duty, stop), name=duty.name) for duty in duties]
    threads.append(threading.Thread(target=_listen, args=(parts.redis, duties, stop), name="hints"))
    for thread in threads:
        thread.start()
    log.info("relay.started")
    stop.wait()
    for duty in duties:
        duty.woken.set()
    for thread in threads:
        thread.join()
    log.info("relay.stopped")


def duties_of(parts: RelayParts) -> list[Duty]:
    """The relay's duties."""
    sweep = Sweep(parts.schedule, parts.sender, partial(away_seconds, parts.redis))
    return [
        Duty("given up", parts.given_up.turn, DEAD_LETTER_SECONDS),
        Duty("sweep", sweep.turn, SWEEP_SECONDS),
        Duty("results", lambda: store_results(parts), OUTBOX_SECONDS),
        Duty("feed", lambda: place_events(parts), OUTBOX_SECONDS),
        Duty("events", lambda: publish_events(parts), OUTBOX_SECONDS),
        Duty("callbacks", parts.callbacks.turn, CALLBACK_SECONDS),
        Duty("dead letters", lambda: answer_dead_letters(parts), DEAD_LETTER_SECONDS),
    ]


def keep_turning(duty: Duty, stop: threading.Event) -> None:
    """Turn until told to stop. A failure is logged and rested on; it never ends the duty."""
    rest = REST_SECONDS
    while not stop.is_set():
        duty.woken.clear()
        try:
            worked = duty.turn()
        except Exception as error:  # noqa: BLE001 — a relay that ends is worse than one that tries again
            _complain(duty, error)
            stop.wait(rest)
            rest = min(rest * 2, LONGEST_REST_SECONDS)
            continue
        rest = REST_SECONDS
        if not worked:
            duty.woken.wait(duty.idle_seconds)


def store_results(parts: RelayParts) -> bool:
    """Store final results for those who poll, and wake those who wait for them."""
    results = parts.outbox.due_results(BATCH)
    if results:
        parts.results.store(results)
        parts.outbox.mark_stored(results)
        parts.hints.results([result.receipt_id for result in results])
    return bool(results)


def place_events(parts: RelayParts) -> bool:
    """Give events their places in the feed, and wake those who read it; the events' broker has no part in this."""
    placed = parts.outbox.place(PLACED_AT_ONCE)
    if placed:
        parts.hints.feed()
    return placed > 0


def publish_events(parts: RelayParts) -> bool:
    """Publish events in order."""
    events = parts.outbox.take_events(BATCH)
    if events:
        published = _publish(parts, events)
        parts.outbox.mark_published(published)
        out = {event.number for event in published}
        if len(out) < len(events):  # nothing of a receipt has gone out that comes after one of these
            parts.outbox.give_back([event for event in events if event.number not in out])
    return bool(events)


def _publish(parts: RelayParts, events: list[Announcement]) -> list[Announcement]:
    try:
        return parts.events.publish(events)
    except Exception:
        parts.outbox.give_back(events)
        raise


def answer_dead_letters(parts: RelayParts) -> bool:
    """Tell producers of unusable documents; take it back once their receipt has a row."""
    answers = parts.dead_letters.to_answer(BATCH)
    for answer in answers:
        if answer.has_row:
            parts.results.withdraw_failure(answer.task_id)
        else:
            parts.results.store_failure(answer.task_id, answer.reason)
    if answers:
        parts.dead_letters.mark_answered(answers)
    return bool(answers)


def _listen(redis: Redis, duties: list[Duty], stop: threading.Event) -> None:
    """Wake the outbox's duties on a hint. While Redis is away they poll."""
    while not stop.is_set():
        try:
            with redis.pubsub(ignore_subscribe_messages=True) as subscription:
                subscription.subscribe(OUTBOX, CALLBACKS)
                while not stop.is_set():
                    if hint := subscription.get_message(timeout=_HINT_SECONDS):
                        for duty in duties:
                            if hint["channel"] == OUTBOX or duty.name == "callbacks":
                                duty.woken.set()
        except RedisError:
            stop.wait(REST_SECONDS)


def _complain(duty: Duty, error: Exception) -> None:
    expected = isinstance(error, StoreBusy | StoreUnavailable | BrokerAway | RedisError | OSError)
    told = isinstance(error, StoreBusy | StoreUnavailable | BrokerAway)
    why = f"{type(error).__name__}: {error}" if told else type(error).__name__
    log.warning("relay.away", duty=duty.name, error=why, exc_info=None if expected else error)
