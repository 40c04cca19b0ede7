"""Whether what a process needs answers: for containers' health checks, so quick even when a host is unreachable."""

import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from kombu import Connection
from sqlalchemy.exc import ArgumentError

from config.celery import configuration
from config.settings import Settings
from confirmation.errors import StoreBusy, StoreUnavailable
from payconfirm.sentinel import is_sentinel
from worker import bootstrap
from worker.broker.redis import make_redis
from worker.broker.topology import is_rabbitmq
from worker.duty.showing import printable
from worker.relay.queues import LONG, bound_queues
from worker.store.engine import named_errors
from worker.store.migrations import installed, newest
from worker.store.outbox import Outbox

#: Health checks commonly give a command 10 s or more; what doesn't answer in this time doesn't answer.
ANSWER_SECONDS = 5.0
_CONNECT_SECONDS = 3

Probe = Callable[[Settings], str]


@dataclass(frozen=True)
class Health:
    """One part of the world: whether it answers, and what there is to say."""

    part: str
    ok: bool
    detail: str

    def as_data(self) -> dict[str, Any]:
        """As JSON has it."""
        return vars(self)


class Unfit(Exception):
    """It answers, but can't be worked with as it is."""


def look(settings: Settings) -> list[Health]:
    """Ask all parts at once; none is waited for longer than a few seconds."""
    answers: queue.SimpleQueue[Health] = queue.SimpleQueue()
    for part in PROBES:
        # A daemon: one that still waits for its host doesn't keep the process from ending.
        threading.Thread(target=lambda part=part: answers.put(_ask(part, settings)), daemon=True).start()
    ends_at = time.monotonic() + ANSWER_SECONDS
    found = [_next(answers, ends_at) for _ in PROBES]
    heard = {health.part: health for health in found if health}
    silent = f"no answer within {ANSWER_SECONDS:g} s"
    return [heard.get(part) or Health(part, ok=False, detail=silent) for part in PROBES]


def _next(answers: queue.SimpleQueue[Health], ends_at: float) -> Health | None:
    try:
        return answers.get(timeout=max(ends_at - time.monotonic(), 0))
    except queue.Empty:
        return None


def _ask(part: str, settings: Settings) -> Health:
    try:
        return Health(part, ok=True, detail=PROBES[part](settings))
    except Exception as error:  # noqa: BLE001 — whatever its client raises, it doesn't answer
        return Health(part, ok=False, detail=_words(error))


def _words(error: Exception) -> str:
    """The client's own first line: it names the host, and never the password."""
    if isinstance(error, StoreUnavailable):
        return _words(getattr(error.__cause__, "orig", None) or Exception(str(error)))
    if isinstance(error, ValueError | ArgumentError):
        return "its address can't be read"  # what was read amiss may be part of a password
    return printable(str(error).strip().partition("\n")[0]) or type(error).__name__


def _database(settings: Settings) -> str:
    with named_errors():
        revision = installed(bootstrap.build_engine(settings))
    if revision != newest():
        has = f"its schema is at {revision}" if revision else "the schema isn't there"
        raise Unfit(f"{has}, and this code needs {newest()}: run python -m worker migrate")
    return f"at revision {revision}"


def _redis(settings: Settings) -> str:
    url = settings.redis_url.get_secret_value()
    make_redis(url).ping()
    return "the master answers" if is_sentinel(url) else "answers"


def _broker(settings: Settings) -> str:
    configured = configuration(settings)
    options = configured["broker_transport_options"]
    if not is_rabbitmq(settings.broker):
        options |= {"socket_timeout": _CONNECT_SECONDS, "socket_connect_timeout": _CONNECT_SECONDS}
    url = configured["broker_read_url"]
    with Connection(url, connect_timeout=_CONNECT_SECONDS, transport_options=options) as connection:  # type: ignore[no-untyped-call]
        connected = connection.connect()
        return _rabbitmq(connected.server_properties) if is_rabbitmq(settings.broker) else "answers"


def _rabbitmq(properties: Mapping[str, Any]) -> str:
    return printable(f"{properties.get('product')} {properties.get('version')} answers")


def _events(settings: Settings) -> str:
    """Events that wait, and queues that nobody reads, are for people to know: no process is ill of them."""
    found = [_lag(settings)]
    try:
        found += _long_queues(settings.events)
    except Exception:
        if settings.events != settings.broker:  # or the broker's own part says it
            raise
    return ", ".join(found)


def _lag(settings: Settings) -> str:
    try:
        lag = Outbox(bootstrap.build_engine(settings)).lag()
    except (StoreBusy, StoreUnavailable):
        return "how many wait can't be told"  # the database's own part says why
    return f"{lag.events:,} wait, the oldest for {lag.seconds:,.0f} s" if lag.events else "none waits"


def _long_queues(url: str) -> list[str]:
    if url.startswith("amqp"):
        with Connection(url, connect_timeout=_CONNECT_SECONDS) as connection:  # type: ignore[no-untyped-call]
            connection.connect()
        return []
    long = {name: queue for name, queue in bound_queues(make_redis(url)).items() if queue.waiting > LONG}
    return [
        f"{queue.waiting:,} in the queue {printable(name)} (missed: {queue.missed:,}): start its consumer or unbind it"
        for name, queue in long.items()
    ]


PROBES: dict[str, Probe] = {"database": _database, "redis": _redis, "broker": _broker, "events": _events}
