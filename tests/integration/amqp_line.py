"""A line to RabbitMQ that can be cut in the middle of a batch, fall silent, or say that the broker has no memory left.

It reads the protocol as far as it must: where a frame ends, and which one begins an event.
"""

import socket
import struct
import threading
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

HELLO = b"AMQP\x00\x00\x09\x01"[:8]
METHOD = 1
BASIC_PUBLISH = struct.pack("!HH", 60, 40)
#: Connection.Blocked, on channel 0, with its reason.
BLOCKED = b"\x01\x00\x00\x00\x00\x00\x0b" + struct.pack("!HH", 10, 60) + b"\x06memory" + b"\xce"


class Line:
    """Passes on what is said to a RabbitMQ, on any number of connections."""

    def __init__(self, url):
        self._url = urlsplit(url)
        self._server = socket.create_server(("127.0.0.1", 0))
        self._open, self._threads = [], []
        #: Cut each connection instead of passing on more events than this.
        self.cut_after = None
        #: Nothing that RabbitMQ says is passed on.
        self.silent = False
        #: RabbitMQ says that it is out of memory as the next event comes, and reads nothing more.
        self.blocked = False
        self.published = 0

    @property
    def url(self):
        """The same RabbitMQ, by way of us."""
        where = f"{self._url.username}:{self._url.password}@127.0.0.1:{self._server.getsockname()[1]}"
        return self._url._replace(netloc=where).geturl()

    def serve(self):
        with suppress(OSError):  # closed
            while True:
                client, _ = self._server.accept()
                rabbitmq = socket.create_connection((self._url.hostname, self._url.port or 5672))
                self._open += [client, rabbitmq]
                self._begin(self._pass_events, client, rabbitmq)
                self._begin(self._pass_answers, client, rabbitmq)

    def close(self):
        _hang_up(self._server, *self._open)
        for thread in self._threads:
            thread.join()

    def _begin(self, run, *ends):
        thread = threading.Thread(target=run, args=ends)
        self._threads.append(thread)
        thread.start()

    def _pass_events(self, client, rabbitmq):
        events, blocked = 0, False
        with suppress(OSError, EOFError):
            rabbitmq.sendall(_read(client, len(HELLO)))
            while True:
                frame = _frame(client)
                if frame[0] == METHOD and frame[7:11] == BASIC_PUBLISH:
                    if events == self.cut_after:
                        break
                    if self.blocked and not blocked:
                        blocked = True
                        client.sendall(BLOCKED)
                    events += 1
                    self.published += not blocked
                if not blocked:
                    rabbitmq.sendall(frame)
        _hang_up(client, rabbitmq)

    def _pass_answers(self, client, rabbitmq):
        with suppress(OSError, EOFError):
            while said := rabbitmq.recv(65_536):
                if not self.silent:
                    client.sendall(said)
        _hang_up(client, rabbitmq)


def _frame(end):
    head = _read(end, 7)
    return head + _read(end, struct.unpack("!BHI", head)[2] + 1)


def _read(end, length):
    read = b""
    while len(read) < length:
        if not (more := end.recv(length - len(read))):
            raise EOFError
        read += more
    return read


def _hang_up(*ends):
    for end in ends:
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()


@contextmanager
def line(url):
    """Open a line to this RabbitMQ."""
    opened = Line(url)
    serving = threading.Thread(target=opened.serve)
    serving.start()
    try:
        yield opened
    finally:
        opened.close()
        serving.join()
