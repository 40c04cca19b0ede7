"""A shop that receives callbacks: a real HTTP server on loopback that answers as it is told."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from payconfirm.callbacks import verify


@dataclass(frozen=True)
class Got:
    """One request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float


@dataclass
class Shop:
    """What came in, and how the next ones are answered."""

    url: str = ""
    got: list[Got] = field(default_factory=list)
    #: Answers a request by writing to the handler; by default 204.
    answer: Callable[[Any], None] = lambda handler: say(handler, 204)
    working: int = 0
    most_at_once: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def events(self, secrets: str) -> list[dict[str, Any]]:
        return [verify(got.body, got.headers, secrets) for got in self.got]


def say(handler: Any, status: int, body: bytes = b"", **headers: str) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def drip(handler: Any, head: bytes, seconds: float) -> None:
    """Send a head, and then a byte now and then for so long."""
    handler.wfile.write(head)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        handler.wfile.write(b"x")
        handler.wfile.flush()
        time.sleep(0.05)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        shop: Shop = self.server.shop  # type: ignore[attr-defined]
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with shop.lock:
            shop.got.append(Got(self.path, dict(self.headers.items()), body, time.monotonic()))
            shop.working += 1
            shop.most_at_once = max(shop.most_at_once, shop.working)
        try:
            with suppress(OSError):
                shop.answer(self)
        finally:
            with shop.lock:
                shop.working -= 1
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, *_: object) -> None:
        pass  # a client that hangs up, or doesn't like our certificate


@contextmanager
def receiving(tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> Iterator[Shop]:
    """Run a shop's server."""
    server = _Server((host, 0), _Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    shop = Shop(f"{'https' if tls else 'http'}://{host}:{server.server_address[1]}/hook")
    server.shop = shop  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield shop
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def closed_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
