"""RabbitMQ for tests, where AMQP_URL points to one: a virtual host of a test's own, or that one's by turns.

Names of queues are the contract's, so two tests can't share a virtual host.
"""

import fcntl
import json
import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote, urlsplit
from uuid import uuid4

import amqp
import pytest
from kombu import Connection

from tests.workers import QUEUE, Stage, envelope

URL = os.environ.get("AMQP_URL", "")
#: Where there is none, that is said at the end of the run.
needs_rabbitmq = pytest.mark.skipif(not URL, reason="AMQP_URL names no RabbitMQ: nothing was tried over it")
AGAIN, DEAD = "payconfirm.again", "payconfirm.dead"
QUEUES = (QUEUE, AGAIN, "payconfirm.callbacks", DEAD)
#: It starts an Erlang of its own each time.
CONTROL_SECONDS = 60


class RabbitStage(Stage):
    """A stage whose broker is RabbitMQ; Redis has the rest."""

    @property
    def broker_url(self):
        return self.environment["BROKER_URL"]

    def publish(self, *messages, queue=QUEUE):
        """Put messages on a queue, the first to be read first, as any client does; RabbitMQ has them then."""
        with opened(self.broker_url) as channel:
            for message in messages:
                channel.basic_publish_confirm(message, routing_key=queue, mandatory=True)

    def left_over(self):
        """As many dots as wait; what a worker has taken isn't seen."""
        return ["."] * self.waiting()

    def waiting(self, *queues):
        """How many wait in these, those that a worker has taken not among them."""
        with opened(self.broker_url) as channel:
            return sum(
                channel.queue_declare(name, passive=True).message_count for name in queues or (QUEUE, AGAIN, DEAD)
            )


@contextmanager
def opened(url):
    """A plain channel, as a client in any language has it."""
    parts = urlsplit(url)
    with amqp.Connection(
        f"{parts.hostname}:{parts.port or 5672}",
        userid=parts.username or "guest",
        password=parts.password or "guest",
        virtual_host=Connection(url).virtual_host,
        confirm_publish=True,
    ) as connection:
        yield connection.channel()


def message(*arguments, body=..., headers=None, **properties):
    """A message as a client puts it together; what is `...` is left out."""
    whole = envelope(*arguments[:1])
    named = {name: value for name, value in {**whole["headers"], **(headers or {})}.items() if value is not ...}
    kept = {"content_type": "application/json", "content_encoding": "utf-8", "delivery_mode": 2} | properties
    return amqp.Message(
        _body(arguments) if body is ... else body,
        application_headers=named,
        **{name: value for name, value in kept.items() if value is not ...},
    )


def _body(arguments):
    return json.dumps([arguments, {}, {}]).encode()


@contextmanager
def virtual_host():
    """Give the address of a virtual host that nobody else uses meanwhile."""
    name = f"payconfirm-test-{uuid4().hex[:8]}"
    if _made(name):
        try:
            yield urlsplit(URL)._replace(path=f"/{quote(name, safe='')}").geturl()
        finally:
            _control("delete_vhost", name)
        return
    with Path(tempfile.gettempdir(), "payconfirm-rabbitmq.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _remove_queues()
        try:
            yield URL
        finally:
            _remove_queues()


def _made(name):
    """Whether there is such a virtual host now, and it is the one of AMQP_URL's server."""
    user = urlsplit(URL).username or "guest"
    if not (shutil.which("rabbitmqctl") and os.geteuid() == 0 and _control("add_vhost", name)):
        return False
    if _control("set_permissions", "-p", name, user, ".*", ".*", ".*"):
        with suppress(OSError, amqp.AMQPError), opened(urlsplit(URL)._replace(path=f"/{name}").geturl()):
            return True
    _control("delete_vhost", name)
    return False


def _control(*words):
    command = ["rabbitmqctl", "-q", *words]
    return subprocess.run(command, capture_output=True, timeout=CONTROL_SECONDS, check=False).returncode == 0


def _remove_queues():
    with opened(URL) as channel:
        for name in QUEUES:
            channel.queue_delete(name)
        channel.exchange_delete(DEAD)
