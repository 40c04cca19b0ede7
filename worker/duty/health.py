"""Whether what a process needs answers: for containers' health checks, so quick even when a host is unreachable."""

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kombu import Connection
from sqlalchemy.exc import ArgumentError

from config.celery import configuration
from config.settings import Settings
from confirmation.errors import StoreUnavailable
from worker import bootstrap
from worker.broker.redis import make_redis
from worker.duty.showing import printable
from worker.store.engine import named_errors
from worker.store.migrations import installed, newest

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
    make_redis(settings.redis_url.get_secret_value()).ping()
    return "answers"


def _broker(settings: Settings) -> str:
    options = configuration(settings)["broker_transport_options"]
    if not settings.broker.startswith("amqp"):
        options |= {"socket_timeout": _CONNECT_SECONDS, "socket_connect_timeout": _CONNECT_SECONDS}
    with Connection(settings.broker, connect_timeout=_CONNECT_SECONDS, transport_options=options) as connection:  # type: ignore[no-untyped-call]
        connection.connect()
    return "answers"


PROBES: dict[str, Probe] = {"database": _database, "redis": _redis, "broker": _broker}
