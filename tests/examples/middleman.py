"""A middleman between a producer and the HTTP door, who loses, refuses and forges answers as he is told."""

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from time import monotonic
from typing import Any

import requests

#: What he can do with a request: pass it on and lose the answer, refuse it for now, or tell of another order.
LOSE, TOO_FAST, AWAY, FORGE = "lose", 429, 503, "forge"
RETRY_AFTER_SECONDS = 1
PASSED_ON = ("Authorization", "Content-Type")


@dataclass(frozen=True)
class Asked:
    """One request that came to him."""

    at: float
    body: bytes
    did: object


class Middleman:
    """What he is to do, and what he has seen, by method and receipt."""

    def __init__(self, door: str) -> None:
        self.door = door
        self.url = ""
        self.seen: dict[tuple[str, str], list[Asked]] = defaultdict(list)
        self._orders: dict[tuple[str, str], list[object]] = {}

    def tell(self, method: str, receipt_id: str, does: Sequence[object]) -> None:
        """Say what is done with this receipt's next requests; those after them are passed on."""
        self._orders[method, receipt_id] = [*does]

    def next(self, method: str, receipt_id: str, body: bytes) -> object:
        todo = self._orders.get((method, receipt_id))
        does = todo.pop(0) if todo else None
        self.seen[method, receipt_id].append(Asked(monotonic(), body, does))
        return does


@contextmanager
def between(door: str) -> Iterator[Middleman]:
    """Stand in front of this door."""
    middleman = Middleman(door)
    handler = type("Answers", (_Answers,), {"middleman": middleman})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        middleman.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield middleman
        server.shutdown()
        thread.join()


class _Answers(BaseHTTPRequestHandler):
    middleman: Middleman

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(json.loads(body)["receipt_id"], body)

    def do_GET(self):
        self._answer(self.path.partition("?")[0].rpartition("/")[2], b"")

    def _answer(self, receipt_id: str, body: bytes) -> None:
        does = self.middleman.next(self.command, receipt_id, body)
        if does in (TOO_FAST, AWAY):
            self._send(does, {"detail": "not now"}, {"Retry-After": str(RETRY_AFTER_SECONDS)})
            return
        headers = {name: self.headers[name] for name in PASSED_ON if name in self.headers}
        answer = requests.request(self.command, self.middleman.door + self.path, data=body, headers=headers, timeout=60)
        said = answer.json()
        if does == FORGE:
            said |= {"order_id": "somebody else's"}
        if does != LOSE:  # else the connection is closed, and not a word said
            self._send(answer.status_code, said, {})

    def _send(self, status: Any, said: dict[str, Any], headers: dict[str, str]) -> None:
        body = json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass
