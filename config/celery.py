"""Celery's configuration, each line with its reason. `worker/app.py` gives it to Celery when it is first needed."""

from typing import Any

from kombu import Exchange, Queue

from config.settings import Role, Settings
from payconfirm.sentinel import for_kombu

#: Producers put their jobs here; the name is the contract's.
QUEUE = "payconfirm"
#: Rows that were claimed before come back through this one; it is read first.
AGAIN = "payconfirm.again"
#: Callbacks, which a process of their own reads.
CALLBACKS = "payconfirm.callbacks"
#: What is given up comes here, on RabbitMQ through an exchange of the same name; the relay takes it from there.
DEAD = "payconfirm.dead"

#: So often RabbitMQ delivers a message that nobody acknowledges. Not even a good one that was unlucky is lost by it.
DELIVERY_LIMIT = 20
#: So often a message comes back from dead workers on Redis. Few, since whoever stands behind it waits 11 s each time;
#: and a good one that was unlucky loses nothing: it gets its row, and is carried from there.
RETURN_LIMIT = 3

#: How often the guarded transport says that its worker lives, and looks for messages of dead ones.
ALIVE_EVERY_SECONDS = 1

#: A broker that answers nothing for so long is connected to anew.
SILENT_SECONDS = 5
#: RabbitMQ takes a worker whose machine died for dead after one to two of these.
HEARTBEAT_SECONDS = 8

_ALL = (AGAIN, QUEUE, CALLBACKS)
#: What a process may read: no dead shop can take a payment's thread. Whoever only sends knows all of them.
_QUEUES = {Role.WORKER: (AGAIN, QUEUE), Role.CALLBACKS: (CALLBACKS,)}


def configuration(settings: Settings) -> dict[str, Any]:
    """Celery's settings for this process."""
    url, options = for_kombu(settings.broker, _transport(settings.broker))
    return {
        # Not `broker_url`: a variable CELERY_BROKER_URL of some other program would win over it.
        "broker_read_url": url,
        "broker_write_url": url,
        "broker_connection_retry_on_startup": True,
        "broker_channel_error_retry": True,  # a Redis that is full refuses commands; that must not end a worker
        "broker_heartbeat": HEARTBEAT_SECONDS,  # RabbitMQ only
        "broker_connection_max_retries": None,  # the default of 100 ends the worker
        "broker_transport_options": options,
        "task_queues": [_queue(name, settings.broker) for name in _QUEUES.get(settings.role, _ALL)],
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
        "imports": ["tasks.dead_letter", "tasks.callback" if settings.role is Role.CALLBACKS else "tasks.confirm"],
    }


def _queue(name: str, broker: str) -> Queue:
    if not broker.startswith("amqp"):
        return Queue(name, Exchange(name, type="direct"), routing_key=name)
    arguments = {
        "x-queue-type": "quorum",
        "x-delivery-limit": DELIVERY_LIMIT,
        "x-dead-letter-exchange": DEAD,
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",  # the strategy asks for it
    }
    # `worker.broker.topology` declares it: Celery would try for ever where it is there in another shape.
    return Queue(name, routing_key=name, queue_arguments=arguments, no_declare=True)


def _transport(broker: str) -> dict[str, Any]:
    if broker.startswith("amqp"):
        return {"confirm_publish": True, "write_timeout": SILENT_SECONDS}
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
