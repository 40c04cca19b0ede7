"""The guarded RabbitMQ transport: nothing that a producer can put into a message stops a worker or is unpacked.

What py-amqp can't read becomes a message without headers, whose body is kept as it came.
"""

from typing import Any

from amqp import basic_message, method_framing
from kombu.transport import TRANSPORT_ALIASES, pyamqp

from payconfirm import rabbitmq
from worker.broker.envelopes import UNREADABLE


class Message(pyamqp.Message):
    """A message with its body as it came: kombu would unpack a compressed one, however large it then is."""

    def __init__(self, msg: Any, channel: Any = None, **options: object) -> None:  # noqa: ANN401 — py-amqp has no types
        headers = msg.properties.get("application_headers")
        if isinstance(headers, dict) and headers.get("compression"):
            kept = {name: value for name, value in headers.items() if name != "compression"}
            kept["why"] = "the message is compressed; send it as it is"
            msg.properties = {**msg.properties, "content_type": UNREADABLE, "application_headers": kept}
        super().__init__(msg, channel=channel, **options)


class Channel(pyamqp.Channel):
    """A channel that gives out guarded messages."""

    Message = Message

    def __init__(self, *args: object, **options: object) -> None:
        super().__init__(*args, **options)
        self.auto_decode = False  # or the raw bytes would be gone, in whatever coding a producer names


class Connection(rabbitmq.Connection):
    """A connection with guarded channels."""

    Channel = Channel


class Transport(rabbitmq.Transport):
    """The transport for amqp://."""

    Connection = Connection


class SSLTransport(rabbitmq.SSLTransport):
    """The transport for amqps://."""

    Connection = Connection


class _Frames(basic_message.Message):
    """What a message is made of. An error here would end the worker, and the next one to which it is delivered."""

    def _load_properties(self, class_id: int, buf: bytes, offset: int) -> int:
        try:
            read: int = super()._load_properties(class_id, buf, offset)
        except Exception as error:  # noqa: BLE001 — the parser raises whatever comes of walking off its way
            why = f"the message's properties can't be read: {type(error).__name__}"
            self.properties = {"content_type": UNREADABLE, "application_headers": {"why": why}}
            return offset
        return read


def install() -> None:
    """Have every amqp:// broker of this process go through the guarded transport."""
    method_framing.Message = _Frames
    for scheme in ("amqp", "pyamqp"):
        TRANSPORT_ALIASES[scheme] = "worker.broker.rabbitmq:Transport"
    TRANSPORT_ALIASES["amqps"] = "worker.broker.rabbitmq:SSLTransport"
