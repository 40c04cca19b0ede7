"""Celery's configuration, each line with its reason. `worker/app.py` gives it to Celery when it is first needed."""

from typing import Any

from kombu import Exchange, Queue

from config.settings import Settings

#: Producers put their jobs here; the name is the contract's.
QUEUE = "payconfirm"
#: Rows that were claimed before come back through this one; it is read first.
AGAIN = "payconfirm.again"

#: How often the guarded transport says that its worker lives, and looks for messages of dead ones.
ALIVE_EVERY_SECONDS = 1

#: A Redis that answers nothing for so long is connected to anew.
SILENT_SECONDS = 5


def configuration(settings: Settings) -> dict[str, Any]:
    """Celery's settings for this process."""
    return {
        # Not `broker_url`: a variable CELERY_BROKER_URL of some other program would win over it.
        "broker_read_url": settings.broker,
        "broker_write_url": settings.broker,
        "broker_connection_retry_on_startup": True,
        "broker_channel_error_retry": True,  # a Redis that is full refuses commands; that must not end a worker
        "broker_connection_max_retries": None,  # the default of 100 ends the worker
        "broker_transport_options": _transport(settings.broker),
        "task_queues": [_queue(AGAIN, settings.broker), _queue(QUEUE, settings.broker)],
        "task_default_queue": QUEUE,
        "task_create_missing_queues": False,
        "task_serializer": "json",
        "accept_content": ["json"],
        "task_ignore_result": True,  # results come from the outbox; a result store that is away can't hold up a worker
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "task_publish_retry": False,  # a door that can't send says so, or leaves it to the sweep
        "worker_consumer": "worker.broker.consumer:GuardedConsumer",
        "worker_concurrency": settings.worker_concurrency,
        "worker_pool": "threads",
        "worker_prefetch_multiplier": 1,  # holds as many messages as it works on
        "worker_enable_remote_control": False,  # its pub/sub connection's loss alone would run messages twice
        "worker_cancel_long_running_tasks_on_connection_loss": False,  # a thread can't be cancelled
        "worker_send_task_events": False,
        "worker_hijack_root_logger": False,
        "enable_utc": True,
        "imports": ["tasks.confirm", "tasks.dead_letter"],
    }


def _queue(name: str, broker: str) -> Queue:
    arguments = {"x-queue-type": "quorum"} if broker.startswith("amqp") else None
    return Queue(name, Exchange(name, type="direct"), routing_key=name, queue_arguments=arguments)


def _transport(broker: str) -> dict[str, Any]:
    if broker.startswith("amqp"):
        return {"confirm_publish": True}
    return {
        "unacked_restore_interval": ALIVE_EVERY_SECONDS,
        # A connection may die without a word, as in a failover. Nothing asked over it takes longer than half a second.
        "socket_timeout": SILENT_SECONDS,
        "socket_connect_timeout": 3,
        "socket_keepalive": True,
        "health_check_interval": SILENT_SECONDS,
        "priority_steps": [0],
        "queue_order_strategy": "worker.broker.queues:again_first",
    }
