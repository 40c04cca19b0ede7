"""An address that leads to one server now and to another one later, as a failover's does.

Connections that are there stay with the server that they began with; only new ones lead elsewhere.
"""

import socket
import socketserver
import threading
from contextlib import contextmanager, suppress

CHUNK = 65_536


class Detour(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, port):
        super().__init__(("127.0.0.1", 0), Passage)
        self.silent = False
        self._passages = []
        self.leads_to(port)

    def leads_to(self, port):
        """Lead new connections to the server on this port."""
        self.target = ("127.0.0.1", port)

    @property
    def port(self):
        return self.server_address[1]

    def falls_silent(self):
        """Carry nothing any more, and end nothing: neither what is there now, nor what comes."""
        self.silent = True

    def cut(self):
        """End every connection that there is."""
        while self._passages:
            _end(self._passages.pop())

    def notice(self, *sockets):
        self._passages += sockets

    def handle_error(self, request, client_address):
        """Say nothing: a server that is gone is the point."""


class Passage(socketserver.BaseRequestHandler):
    """One connection, there and back."""

    def handle(self):
        with socket.create_connection(self.server.target) as server:
            self.server.notice(self.request)
            back = threading.Thread(target=self._carry, args=(server, self.request), daemon=True)
            back.start()
            self._carry(self.request, server)
            back.join()

    def _carry(self, source, sink):
        with suppress(OSError):
            while chunk := source.recv(CHUNK):
                if not self.server.silent:
                    sink.sendall(chunk)
        for end in (source, sink):  # whoever waits at the other end of either hears of it
            _end(end)


def _end(connection):
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def detour(port):
    """Open an address that leads to this port."""
    with Detour(port) as server:
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1})
        serving.start()
        try:
            yield server
        finally:
            server.shutdown()
            serving.join()
