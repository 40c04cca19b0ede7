"""The wire between workers and the gateway: it can lose an answer, and says when a call is at the gateway.

Every worker's calls go through it, so an answer is lost for whoever makes the call.
"""

import json
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

#: The port's names for the gateway's paths.
CALLS = {"receipt": "look_up", "confirm": "submit", "cancel": "cancel"}
#: A look-up is sent once more when its connection is found closed.
LOST = {"look_up": 2, "submit": 1, "cancel": 1}
PATIENCE_SECONDS = 60


@dataclass
class Told:
    """What is to happen in one call."""

    call: tuple[str, str]
    left: int
    moment: str
    do: Callable[[], None]


class Wire:
    """What is to happen to calls, by receipt and call."""

    def __init__(self, gateway_url):
        self.gateway = urlsplit(gateway_url).netloc
        self._lock = threading.Lock()
        self._lost = Counter()
        self._told = []

    def lose(self, receipt_id, call):
        """Let the gateway lose its answer to the next such call."""
        with self._lock:
            self._lost[receipt_id, call] = LOST[call]

    def when(self, receipt_id, call, nth, moment, do):
        """Call `do` when the nth call from now is `arriving`, `working` at the gateway, or has `acted` unanswered."""
        with self._lock:
            self._told.append(Told((receipt_id, call), nth, moment, do))

    def count(self, receipt_id, call):
        """Count the call; return what is to happen in it, by its moments."""
        with self._lock:
            mine = [told for told in self._told if told.call == (receipt_id, call)]
            for told in mine:
                told.left -= 1
            return {told.moment: told.do for told in mine if told.left == 0}

    def loses(self, receipt_id, call):
        with self._lock:
            if not self._lost[receipt_id, call]:
                return False
            self._lost[receipt_id, call] -= 1
            return True


def nothing():
    """Let the call pass."""


class Passing(BaseHTTPRequestHandler):
    """One connection of a worker; it has one of its own to the gateway."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # headers and body go out together

    def setup(self):
        super().setup()
        self._gateway = HTTPConnection(self.server.wire.gateway, timeout=PATIENCE_SECONDS)

    def finish(self):
        self._gateway.close()
        with suppress(OSError):  # killed while we wrote
            super().finish()

    def handle(self):
        with suppress(OSError):
            super().handle()

    def log_message(self, *_):
        """Say nothing."""

    def pass_on(self):
        wire = self.server.wire
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length)
        if len(body) < length:  # killed as it asked
            self.close_connection = True
            return
        receipt_id, call = self._asked(body)
        happens = wire.count(receipt_id, call)
        happens.get("arriving", nothing)()
        headers = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection")}
        self._gateway.request(self.command, self.path, body=body or None, headers=headers)
        happens.get("working", nothing)()
        response = self._gateway.getresponse()
        answer = response.read()
        happens.get("acted", nothing)()
        if "acted" in happens or wire.loses(receipt_id, call):
            self.close_connection = True
            return
        self.send_response(response.status)
        self.send_header("Content-Type", response.headers["Content-Type"])
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST = pass_on  # noqa: N815 — http.server's names

    def _asked(self, body):
        _, _, call, *rest = urlsplit(self.path).path.split("/")  # /v2/receipt/{id}, /v2/confirm, /v2/cancel
        return rest[0] if rest else json.loads(body)["receipt_id"], CALLS[call]


class Server(ThreadingHTTPServer):
    daemon_threads = False

    def __init__(self, wire):
        super().__init__(("127.0.0.1", 0), Passing)
        self.wire = wire

    request_queue_size = 128


@contextmanager
def wire_to(gateway_url):
    """Lay a wire to the gateway. At its end every worker on it has ended."""
    wire = Wire(gateway_url)
    with Server(wire) as server:
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1})
        serving.start()
        wire.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield wire
        finally:
            server.shutdown()
            serving.join()
