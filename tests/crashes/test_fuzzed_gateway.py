"""A gateway whose first answers about each receipt are nonsense: nobody is told a lie, and nobody is charged twice."""

import threading
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests

from tests.fuzzing import SEED, broken, chances, count, nonsense
from tests.workers import item, stage, until
from worker.gateway.exchange import parse

#: The first answers to each question are nonsense, then the truth is told.
NONSENSE = 1
#: 404 is left out: that the receipt isn't there would be an answer, and a lie. So would be a receipt that says
#: something else, which no client can tell from the truth.
STATUSES = (200, 200, 200, 200, 201, 206, 299, 400, 403, 418, 422, 500, 502, 503)
HEADERS = ({}, {}, {"Retry-After": "-1"}, {"Content-Type": "image/png"}, {"Content-Encoding": "gzip"}, {"X": "é" * 400})


class Confused(BaseHTTPRequestHandler):
    """Passes a call on, which so has happened, and gives its answer, or something like it."""

    protocol_version = "HTTP/1.1"
    gateway: str
    told: Counter
    chance = chances("answers")
    lock = threading.Lock()

    def do_GET(self):
        self._answer(None)

    def do_POST(self):
        self._answer(self.rfile.read(int(self.headers["Content-Length"])))

    def _answer(self, body):
        headers = {name: self.headers[name] for name in ("Authorization", "Content-Type") if name in self.headers}
        true = requests.request(self.command, self.gateway + self.path, data=body, headers=headers, timeout=60)
        with self.lock:
            self.told[self.path, body] += 1
            lying = self.told[self.path, body] <= NONSENSE
            status, text, more = self._nonsense(true) if lying else (true.status_code, true.content, {})
        self.send_response(status)
        for name, value in more.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def _nonsense(self, true):
        text = nonsense(self.chance, true.json())
        while isinstance(parse(text), dict):
            if "token" in self.path and self.chance.random() < 0.5:  # a wrong token is only one that is refused
                break
            text = broken(self.chance, text)
        return self.chance.choice(STATUSES), text, self.chance.choice(HEADERS)

    def log_message(self, *_):
        pass


@contextmanager
def confused(gateway):
    handler = type("Handler", (Confused,), {"gateway": gateway, "told": Counter()})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        serving.join()
        server.server_close()


@pytest.mark.parametrize("api", ["v1", "v2"])
def test_nonsense_costs_time_and_nothing_else(servers, template_database, tmp_path, api):
    token = {"BOOTPAY_API": api, "BOOTPAY_APPLICATION_ID": "test-application", "BOOTPAY_PRIVATE_KEY": "test-private"}
    with stage(servers, template_database, tmp_path, **token) as house:
        house.start_gateway()
        with confused(house.environment["BOOTPAY_URL"]) as url:
            house.environment["BOOTPAY_URL"] = url
            house.start("relay", house.lines["relay"])
            worker = house.ready_worker()
            documents = house.open_receipts(count(16))

            house.push(*(item(document) for document in documents))
            until(lambda: house.confirmed(*documents), seconds=60 + len(documents))

            worker.check()
        assert set(house.charges().values()) == {1}, f"seed {SEED}"
        assert house.ask("SELECT FROM payconfirm.dead_letters") == []
