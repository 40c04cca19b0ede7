"""Listens to payconfirm's events, on Redis and on RabbitMQ, and writes each result into the shop's own database once.

    EVENTS_URL=redis://localhost:6379/0 python consume.py

That is shop.db in the current folder (SHOP_DATABASE). Programs on one queue share its events: who is to hear all of
them has a queue of its own (EVENTS_QUEUE).

An event may come twice, and a repeat may come after its successor. So what it says is written down together with its
id, in one transaction; and only then is the message acknowledged. SIGTERM ends it after the event at hand, and at once
while it waits for the broker. What the broker refuses is said on stderr, and tried again.
"""

import json
import os
import signal
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kombu import Connection, Exchange, Message, Queue
from kombu.mixins import ConsumerMixin

TABLES = """
CREATE TABLE IF NOT EXISTS told (event_id TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS payments (receipt_id TEXT PRIMARY KEY, order_id TEXT, state TEXT, sequence INTEGER);
"""
WRITE = """
INSERT INTO payments VALUES (:receipt_id, :order_id, :state, :sequence)
ON CONFLICT (receipt_id) DO UPDATE SET state = excluded.state, sequence = excluded.sequence
WHERE excluded.sequence > sequence
"""


class Shop:
    """What the shop knows of its payments."""

    def __init__(self, path: str) -> None:
        self._database = sqlite3.connect(path)
        self._database.executescript(TABLES)

    def hear(self, event: dict[str, Any]) -> bool:
        """Write down what an event says, once; say whether it was news."""
        with self._database as transaction:
            first = transaction.execute("INSERT OR IGNORE INTO told VALUES (?)", [event["id"]]).rowcount
            return bool(first and transaction.execute(WRITE, event["data"]).rowcount)


class Consumer(ConsumerMixin):
    """Reads the shop's queue; connects anew for as long as it takes when the broker is away."""

    def __init__(self, connection: Connection, shop: Shop, *, rabbitmq: bool) -> None:
        self.connection = connection
        self._connecting = False
        self._shop = shop
        self._queue = Queue(
            os.environ.get("EVENTS_QUEUE", "shop.payments.python"),
            Exchange("payconfirm.events", type="topic", durable=True),
            routing_key="payconfirm.*",  # or those that you want, such as payconfirm.confirmed
            durable=True,
            queue_arguments={"x-queue-type": "quorum"} if rabbitmq else None,
        )

    def get_consumers(self, consumer: type, channel: object) -> list[Any]:
        """One queue, one event at a time: so they are heard in order."""
        del channel
        accept = ["application/cloudevents+json"]
        return [consumer(self._queue, callbacks=[self.take], accept=accept, prefetch_count=1)]

    def on_consume_ready(self, *_: object, **__: object) -> None:
        """Say that events are heard from now on."""
        print("listening", flush=True)

    @contextmanager
    def establish_connection(self) -> Iterator[Connection]:
        """Connect, for as long as it takes, and say what is in the way: kombu logs it, and nobody reads kombu's log."""
        with self.create_connection() as connection:
            self._connecting = True
            try:
                connection.ensure_connection(self.on_connection_error)
            except self.connection_errors + self.channel_errors as refused:  # RabbitMQ's no; `run` tries again
                print("refused:", refused, file=sys.stderr, flush=True)
                raise
            finally:
                self._connecting = False
            yield connection

    def on_connection_error(self, exc: Exception, interval: float) -> None:
        """Say why it isn't connected. The text is the broker's, without the address and its password."""
        print(f"not connected: {exc}; again in {interval:g} s", file=sys.stderr, flush=True)

    def stop(self, *_: object) -> None:
        """End after the event at hand, or at once where there is none: kombu sleeps on between its tries."""
        self.should_stop = True
        if self._connecting:
            sys.exit()

    def take(self, body: str, message: Message) -> None:
        """Hear one event, and acknowledge it once it is written down."""
        event = json.loads(body)
        news = self._shop.hear(event)
        print(event["type"], event["subject"], event["sequence"], "" if news else "(known)", flush=True)
        message.ack()


def main() -> None:
    """Listen until told to stop."""
    url = os.environ.get("EVENTS_URL")
    if not url:
        sys.exit("EVENTS_URL is missing: payconfirm's own, such as redis://localhost:6379/0")
    # On Redis: what a killed consumer had taken comes back after so many seconds. The default is an hour.
    options = {"visibility_timeout": 60} if url.startswith("redis") else {}
    with Connection(url, heartbeat=20, transport_options=options) as connection:
        consumer = Consumer(
            connection, Shop(os.environ.get("SHOP_DATABASE", "shop.db")), rabbitmq=url.startswith("amqp")
        )
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, consumer.stop)
        consumer.run()


if __name__ == "__main__":
    main()
