"""The Celery application. Nothing connects here; tasks are named as strings in `config/celery.py`."""

import json
import sys
from functools import cache
from typing import Any

from celery import Celery
from celery.signals import setup_logging
from kombu import serialization
from kombu.utils.json import dumps

from config import logs
from config.celery import CALLBACKS, configuration
from config.settings import Role, Settings, load
from worker.broker import rabbitmq, transport


@cache
def settings() -> Settings:
    """This process's settings, read when they are first needed. Its queues say what it is."""
    return load(role_of(sys.argv))


def role_of(words: list[str]) -> Role:
    """Say what a command line starts: who reads the queue of callbacks needs no keys of the gateway."""
    return Role.CALLBACKS if {CALLBACKS, f"--queues={CALLBACKS}"} & set(words) else Role.WORKER


def _configuration() -> dict[str, Any]:
    return configuration(settings())


# kombu's own reader makes Python objects of whatever says `__type__` and `__value__`, or fails over it. A document is
# what it says.
serialization.register("json", dumps, json.loads, content_type="application/json", content_encoding="utf-8")

transport.install()
rabbitmq.install()

app = Celery("payconfirm")
app.add_defaults(_configuration)


def sender_app(given: Settings) -> Celery:
    """Build an application for a process that only sends: the relay, the HTTP door."""
    application = Celery("payconfirm", set_as_current=False)
    application.conf.update(configuration(given))
    return application


@setup_logging.connect
def _log_as_we_do(**_: object) -> None:
    """Keep Celery from setting up logs of its own."""
    logs.configure(settings())
