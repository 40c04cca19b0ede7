"""Events to the topic exchange, as structured CloudEvents."""

import json
from contextlib import suppress
from time import monotonic

import structlog
from kombu import Connection, Exchange, Producer

from confirmation.events import cloud_event
from payconfirm.sentinel import for_kombu
from worker.broker.queues import BrokerAway
from worker.relay.confirms import ANSWER_SECONDS, Confirms
from worker.relay.queues import CAPPED, Pushes
from worker.store.outbox import LEASE_SECONDS, Announcement

log = structlog.get_logger(__name__)

#: Whoever publishes must say the type: by its name alone kombu takes it for a direct one and delivers nothing.
EXCHANGE = Exchange("payconfirm.events", type="topic", durable=True)
CONTENT_TYPE = "application/cloudevents+json"

#: A broker that doesn't answer must not hold the relay; the events wait in the outbox.
_CONNECT_SECONDS = 3
_REDIS = {"socket_timeout": LEASE_SECONDS / 2, "socket_connect_timeout": _CONNECT_SECONDS}
#: After this nothing more of a batch is sent, so that a slow broker's batch is marked before its lease is over, and no
#: other relay publishes it a second time.
_BATCH_SECONDS = LEASE_SECONDS / 2


class EventPublisher:
    """Publishes events over one connection, made when it is first needed and anew after a failure."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._producer: Producer | None = None
        self._under_way: Confirms | Pushes

    def publish(self, events: list[Announcement]) -> list[Announcement]:
        """Publish these, those of a receipt in order, and give those that the broker has taken.

        Raises `BrokerAway` where it has taken none. What it may have taken without saying so isn't among them: it is
        published again, as a repeat, and nothing of its receipt that comes after it has gone out.
        """
        taken: list[Announcement] = []
        try:
            self._publish(events, taken)
        except Exception as error:
            self._give_up()
            why = type(error).__name__
            if not taken:
                raise BrokerAway(f"events: {why}") from error
            log.warning("events.cut_short", error=why, taken=len(taken), left=len(events) - len(taken))
        return taken

    def close(self) -> None:
        """Give the connection up, and say so."""
        producer, self._producer = self._producer, None
        if producer is not None:
            with suppress(*producer.connection.connection_errors):  # a broken one can't say goodbye
                producer.connection.release()

    def _publish(self, events: list[Announcement], taken: list[Announcement]) -> None:
        ends_at = monotonic() + _BATCH_SECONDS
        producer = self._producer or self._connect()
        for event in events:
            if monotonic() >= ends_at:
                break
            self._under_way.before(event, taken)
            self._send(producer, event)
        self._under_way.wait(taken)

    def _connect(self) -> Producer:
        rabbitmq = self._url.startswith("amqp")
        url, options = for_kombu(self._url, {} if rabbitmq else _REDIS)
        connection = Connection(
            url,
            transport=CAPPED.get(url.partition("://")[0]),
            connect_timeout=_CONNECT_SECONDS,
            transport_options=options,
        )
        # Without kombu's own second try, which sleeps first: the relay rests and tries again.
        connection.ensure_connection(
            max_retries=max(len(connection.alt) - 1, 0) if rabbitmq else 0,
            interval_start=0,
            reraise_as_library_errors=False,
        )
        if rabbitmq:
            connection.connection.sock.settimeout(ANSWER_SECONDS)  # py-amqp would wait for ever
        channel = connection.channel()
        self._under_way = Confirms(channel) if rabbitmq else Pushes(channel)
        self._producer = Producer(channel, exchange=EXCHANGE, auto_declare=True)
        return self._producer

    def _give_up(self) -> None:
        """Leave the connection without a goodbye, whose answer might not come either."""
        producer, self._producer = self._producer, None
        if producer is not None:
            with suppress(Exception):
                producer.connection.collect()

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
