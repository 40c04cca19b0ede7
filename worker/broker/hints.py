"""Hints over Redis PUBLISH: they wake whoever waits, may be lost, and are never the truth."""

import structlog
from redis import Redis
from redis.exceptions import RedisError

log = structlog.get_logger(__name__)

#: Wakes the relay: there is something in the outbox.
OUTBOX = "payconfirm:outbox"
#: Wakes those who wait for a result; the message is the receipt's id.
RESULTS = "payconfirm:results"
#: Wakes those who read the feed: it has grown.
FEED = "payconfirm:feed"
#: Wakes the relay: a callback has ended, and its host has room for the next one.
CALLBACKS = "payconfirm:callbacks"


class Hints:
    """Publishes hints; one that can't be published is dropped."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def outbox(self) -> None:
        """Wake the relay."""
        self._publish(OUTBOX, "")

    def feed(self) -> None:
        """Wake those who read the feed."""
        self._publish(FEED, "")

    def callbacks(self) -> None:
        """Wake the relay's part that sends callbacks."""
        self._publish(CALLBACKS, "")

    def results(self, receipt_ids: list[str]) -> None:
        """Wake those who wait for these receipts."""
        try:
            with self._redis.pipeline(transaction=False) as pipeline:
                for receipt_id in receipt_ids:
                    pipeline.publish(RESULTS, receipt_id)
                pipeline.execute()
        except RedisError as error:
            log.warning("hint.lost", error=type(error).__name__)

    def _publish(self, channel: str, message: str) -> None:
        try:
            self._redis.publish(channel, message)
        except RedisError as error:
            log.warning("hint.lost", error=type(error).__name__)
