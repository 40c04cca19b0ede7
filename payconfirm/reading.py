"""Reads the results that the relay stores and publishes as Celery does."""

import json
import time
from datetime import UTC, datetime
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisAway
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisSilent
from redis.retry import Retry

from payconfirm.addresses import RESULTS, check_named
from payconfirm.errors import InvalidOrder, NotFinal, ResultsUnavailable
from payconfirm.result import ResultDocument
from payconfirm.sentinel import is_sentinel, read_sentinels
from payconfirm.wire import result_key

#: How long connecting and one answer may take, and so by how much a wait can outlast its time when the store is silent.
CONNECT_SECONDS = 2.0
ANSWER_SECONDS = 3.0

#: How often a waiting client reads although no hint came: a hint is lost with its connection. Below ANSWER_SECONDS,
#: which ends every blocking read.
READ_AGAIN_SECONDS = 2.0

#: The pause before a store that was away is asked again.
AWAY_PAUSE_SECONDS = 0.5


class Results:
    """The result store as a producer sees it. Opens no connection before the first question; threads may share it."""

    def __init__(self, url: str, master_name: str | None = None) -> None:
        check_named("the result store's URL", url, RESULTS)
        # No retries inside a call, which would multiply the times above: `wait` asks again, `read` says so at once.
        options: dict[str, Any] = {
            "socket_connect_timeout": CONNECT_SECONDS,
            "socket_timeout": ANSWER_SECONDS,
            "retry": Retry(NoBackoff(), 0),
        }
        behind = read_sentinels(url, master_name) if is_sentinel(url) else None
        self._redis = behind.master(**options) if behind else Redis.from_url(url, **options)

    def read(self, receipt_id: str, since: datetime | None = None) -> ResultDocument | None:
        """Give the result document, or None where nothing final is stored; never waits.

        A refusal from before `since` is of a document that a better one has followed.
        """
        try:
            return self._read(receipt_id, since)
        except RedisError as away:
            raise ResultsUnavailable(f"the result store didn't answer: {type(away).__name__}") from away

    def wait(self, receipt_id: str, timeout: float, since: datetime | None = None) -> ResultDocument:
        """Give the result document as soon as it is stored, or raise `NotFinal` after `timeout` seconds.

        A store that is away is asked again until the time is over; then `ResultsUnavailable` says so.
        """
        ends_at = time.monotonic() + timeout
        while True:
            try:
                return self._wait_listening(receipt_id, ends_at, since)
            except (RedisAway, RedisSilent) as away:
                if time.monotonic() + AWAY_PAUSE_SECONDS >= ends_at:
                    raise ResultsUnavailable(f"the result store didn't answer: {type(away).__name__}") from away
            time.sleep(AWAY_PAUSE_SECONDS)

    def _wait_listening(self, receipt_id: str, ends_at: float, since: datetime | None) -> ResultDocument:
        with self._redis.pubsub() as hints:  # type: ignore[no-untyped-call]
            hints.subscribe(result_key(receipt_id))
            # The confirmation: what is published from here on is heard, what was stored before is read below.
            hints.get_message(timeout=ANSWER_SECONDS)
            while (found := self._read(receipt_id, since)) is None:
                left = ends_at - time.monotonic()
                if left <= 0:
                    raise NotFinal(f"nothing final is known about {receipt_id} yet")
                hints.get_message(timeout=min(left, READ_AGAIN_SECONDS))
        return found

    def _read(self, receipt_id: str, since: datetime | None) -> ResultDocument | None:
        stored = self._redis.get(result_key(receipt_id))
        return None if stored is None else _result_of(json.loads(stored), since)

    def close(self) -> None:
        """Close every connection."""
        self._redis.close()


def _result_of(stored: dict[str, Any], since: datetime | None) -> ResultDocument | None:
    """Give what Celery's own client would: the result, the error as an exception, or nothing yet."""
    if stored["status"] == "FAILURE" and not (since and _is_before(stored.get("date_done"), since)):
        words = stored["result"]["exc_message"]
        raise InvalidOrder(words if isinstance(words, str) else "; ".join(map(str, words)))
    result: ResultDocument | None = stored["result"] if stored["status"] == "SUCCESS" else None
    return result


def _is_before(done: object, since: datetime) -> bool:
    try:
        moment = datetime.fromisoformat(str(done))
    except ValueError:
        return False
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) < since
