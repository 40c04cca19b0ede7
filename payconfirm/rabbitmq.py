"""RabbitMQ with an end to every wait: py-amqp has none for opening a channel, declaring, or saying goodbye."""

# mypy: disable-error-code="no-untyped-call, misc"
# kombu says that it is typed, and is so only in part.

from kombu.transport import pyamqp

#: How long RabbitMQ may take for an answer: a write to disk by a quorum of its nodes, a short pause.
ANSWER_SECONDS = 3.0


class Connection(pyamqp.Connection):
    """A connection on which nobody waits for ever; a silent one is a lost one."""

    def blocking_read(self, timeout: float | None = None) -> object:
        """Read one frame, waiting for it at most so long."""
        return super().blocking_read(ANSWER_SECONDS if timeout is None else timeout)


class Transport(pyamqp.Transport):
    """The transport for amqp://."""

    Connection = Connection


class SSLTransport(pyamqp.SSLTransport):
    """The transport for amqps://."""

    Connection = Connection
