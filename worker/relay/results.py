"""Celery's results, as a Celery client polls them: stored from the outbox, never taken back by an older one."""

import json
from datetime import UTC, datetime
from typing import Any

from redis import Redis

from worker.store.outbox import Announcement

#: The contract keeps a result for a day.
KEPT_SECONDS = 24 * 3600

#: Store unless what stands there has a higher sequence, and publish as Celery does. A failure (sequence -1) stands only
#: where no result does. What is no string, so that GET fails, is nobody's result and must not hold up the others'.
_STORE = """
local stored = redis.pcall('GET', KEYS[1])
if type(stored) == 'string' then
  local readable, old = pcall(cjson.decode, stored)
  if readable and type(old) == 'table' and old['status'] == 'SUCCESS' then
    local sequence = type(old['result']) == 'table' and tonumber(old['result']['sequence']) or 0
    if sequence > tonumber(ARGV[2]) then return 0 end
  end
end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[3])
redis.call('PUBLISH', KEYS[1], ARGV[1])
return 1
"""

_FAILURE_SEQUENCE = -1

#: Take back a failure, or a result up to this sequence.
_WITHDRAW = """
local stored = redis.pcall('GET', KEYS[1])
if type(stored) ~= 'string' then return 0 end
local readable, old = pcall(cjson.decode, stored)
if not readable or type(old) ~= 'table' then return 0 end
local sequence = old['status'] == 'SUCCESS' and type(old['result']) == 'table' and tonumber(old['result']['sequence'])
if old['status'] == 'FAILURE' or (sequence and sequence <= tonumber(ARGV[1])) then return redis.call('DEL', KEYS[1]) end
return 0
"""


class ResultStore:
    """Stores what Celery's `AsyncResult` reads under the job's task id."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def store(self, results: list[Announcement]) -> None:
        """Store final results, and withdraw those whose receipt was taken over since.

        Raises redis's own errors; doing it again changes nothing.
        """
        with self._redis.pipeline(transaction=False) as pipeline:
            for result in results:
                task_id = f"payconfirm-{result.receipt_id}"
                if result.taken_back:
                    pipeline.eval(_WITHDRAW, 1, f"celery-task-meta-{task_id}", result.sequence)
                else:
                    self._put(pipeline, task_id, "SUCCESS", result.document, result.sequence)
            pipeline.execute()

    def store_failure(self, task_id: str, reason: str) -> None:
        """Tell the producer of an unusable document, unless a result stands there."""
        error = {"exc_type": "InvalidOrder", "exc_message": [reason], "exc_module": "payconfirm.errors"}
        self._put(self._redis, task_id, "FAILURE", error, _FAILURE_SEQUENCE)

    def withdraw_failure(self, task_id: str) -> None:
        """Take a FAILURE back: the receipt has a row after all. A result stays."""
        self._redis.eval(_WITHDRAW, 1, f"celery-task-meta-{task_id}", _FAILURE_SEQUENCE)

    def _put(self, redis: Any, task_id: str, status: str, result: dict[str, Any], sequence: int) -> None:  # noqa: ANN401 — a client or a pipeline of one
        stored: dict[str, Any] = {
            "status": status,
            "result": result,
            "traceback": None,
            "children": [],
            "date_done": datetime.now(UTC).isoformat(),
            "task_id": task_id,
        }
        redis.eval(_STORE, 1, f"celery-task-meta-{task_id}", json.dumps(stored), sequence, KEPT_SECONDS)
