"""Events to the topic exchange, as structured CloudEvents."""

import json
from contextlib import suppress
from typing import Any

from kombu import Connection, Exchange, Producer

from confirmation.events import cloud_event
from worker.store.outbox import Announcement

#: Whoever publishes must say the type: by its name alone kombu takes it for a direct one and delivers nothing.
EXCHANGE = Exchange("payconfirm.events", type="topic", durable=True)
CONTENT_TYPE = "application/cloudevents+json"

#: A broker that doesn't answer must not hold the relay; the events wait in the outbox.
_CONNECT_SECONDS = 3


class EventPublisher:
    """Publishes events over one connection, made when it is first needed and anew after a failure."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._producer: Producer | None = None

    def publish(self, events: list[Announcement]) -> None:
        """Publish these, in order; on RabbitMQ each is confirmed by the broker. Raises what the connection raises."""
        try:
            producer = self._producer or self._connect()
            for event in events:
                self._send(producer, event)
        except Exception:
            self.close()
            raise

    def close(self) -> None:
        """Give the connection up."""
        producer, self._producer = self._producer, None
        if producer is not None:
            with suppress(*producer.connection.connection_errors):  # a broken one can't say goodbye
                producer.connection.release()

    def _connect(self) -> Producer:
        options: dict[str, Any] = {"confirm_publish": True} if self._url.startswith("amqp") else {"socket_timeout": 5}
        connection = Connection(self._url, connect_timeout=_CONNECT_SECONDS, transport_options=options)
        self._producer = Producer(connection.channel(), exchange=EXCHANGE, auto_declare=True)
        return self._producer

    def _send(self, producer: Producer, event: Announcement) -> None:
        body = json.dumps(cloud_event(event.id, event.type, event.at, event.document), ensure_ascii=False)
        producer.publish(
            body,
            routing_key=event.type,
            content_type=CONTENT_TYPE,
            content_encoding="utf-8",
            delivery_mode="persistent",
            message_id=str(event.id),
        )
