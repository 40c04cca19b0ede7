"""The names that client and worker agree on."""

from payconfirm.checks import check_receipt_id
from payconfirm.errors import InvalidOrder

#: The task's name and the queue that the workers read it from.
TASK = "payconfirm.confirm"
QUEUE = "payconfirm"


def task_id(receipt_id: str) -> str:
    """Name the task of a receipt, or raise `InvalidOrder`: what isn't a receipt's name becomes part of no key."""
    try:
        return f"payconfirm-{check_receipt_id(receipt_id)}"
    except ValueError as wrong:
        raise InvalidOrder.of([{"field": "receipt_id", "message": str(wrong)}]) from None


def result_key(receipt_id: str) -> str:
    """Name the Redis key that holds a receipt's result, and the channel that says that it is there."""
    return f"celery-task-meta-{task_id(receipt_id)}"
