"""The gateway client against servers that misbehave on the wire: late, slow, cut, huge, redirected, closed."""

import json
import socket
import struct
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
import requests

from confirmation.answers import GatewayReceipt, Silence
from confirmation.errors import ClaimLost
from worker.gateway import Account, BootpayGateway

ROOT = Path(__file__).parents[2]
#: The deadline of a call in these tests, and what a busy machine may add to it.
DEADLINE_SECONDS = 0.5
PATIENCE_SECONDS = 5.0
#: A drip is faster than the deadline, so that a time-out of each operation would never be met.
DRIP_SECONDS = 0.05
RECEIPT = {"receipt_id": "r-1", "order_id": "o-1", "price": 3000, "currency": "KRW", "status": 2, "cancelled_price": 0}
TOKEN = {"access_token": "token-1", "expire_in": 1800}


def http(body, status="200 OK", *headers):
    """A whole HTTP answer."""
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(head).encode() + body


class Server:
    """Answers each request with the next step: bytes to send, or a function of the connection."""

    def __init__(self):
        self.steps = []
        self.requests = []
        self.connections = 0
        self.stopped = threading.Event()
        self._open = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self):
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                self._open.append(connection)
                self._threads.append(threading.Thread(target=self._serve, args=(connection,)))
                self._threads[-1].start()

    def _serve(self, connection):
        with suppress(OSError, IndexError), connection:
            while request := self._read(connection):
                self.requests.append(request)
                step = self.steps.pop(0)
                if callable(step):
                    step(connection)
                else:
                    connection.sendall(step)

    def _read(self, connection):
        data = b""
        while b"\r\n\r\n" not in data:
            more = connection.recv(65536)
            if not more:
                return ""
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        lengths = [line.split(b":")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")]
        while lengths and len(body) < int(lengths[0]):
            body += connection.recv(65536)
        return (head + b"\r\n\r\n" + body).decode()

    @property
    def lines(self):
        """The first line of each request, without the protocol."""
        return [request.split(" HTTP/")[0] for request in self.requests]

    def drip(self, start=b""):
        def step(connection):
            connection.sendall(start)
            while not self.stopped.wait(DRIP_SECONDS):
                connection.sendall(b"x")

        return step

    def hang(self, _connection):
        self.stopped.wait()

    def stop(self):
        self.stopped.set()
        for each in [self._listener, *self._open]:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        for thread in self._threads:
            thread.join(PATIENCE_SECONDS)


def close(connection):
    connection.shutdown(socket.SHUT_RDWR)


def reset(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


class Watch:
    """A monotonic clock that a test may push forward."""

    def __init__(self):
        self.pushed = 0.0

    def __call__(self):
        return time.monotonic() + self.pushed


@pytest.fixture
def server():
    running = Server()
    yield running
    running.stop()


@pytest.fixture
def watch():
    return Watch()


@pytest.fixture
def gateway(server):
    return basic(server.url)


@pytest.fixture
def with_token(server, watch):
    """A gateway whose calls need a token, with time enough that a test can push the clock within it."""
    account = Account("v2", server.url, application_id="app-id", private_key="private-key")
    return BootpayGateway(account, lookup_seconds=10, submit_seconds=10, tick=watch)


def basic(url, **more):
    seconds = {"lookup_seconds": DEADLINE_SECONDS, "submit_seconds": DEADLINE_SECONDS}
    return BootpayGateway(Account("v2", url, client_key="client", secret_key="secret-key"), **seconds, **more)


def far():
    return time.monotonic() + 60


def call(gateway, name):
    arguments = ("r-1", "c-1") if name == "cancel" else ("r-1",)
    return getattr(gateway, name)(*arguments, start_by=far())


def timed(gateway, name):
    started = time.monotonic()
    answer = call(gateway, name)
    return answer, time.monotonic() - started


def in_threads(number, run):
    """Run it in so many threads that begin together."""
    together = threading.Barrier(number)
    threads = [threading.Thread(target=lambda: together.wait() >= 0 and run()) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


CALLS = pytest.mark.parametrize("name", ["look_up", "submit", "cancel"])


# The deadline -------------------------------------------------------------------------------------------------------


@CALLS
@pytest.mark.parametrize(
    "start",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nX-Slow: ",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1000\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 5000\r\n\r\n",
    ],
    ids=["status line", "header", "body", "chunk", "length of a chunk", "body without a length", "redirect"],
)
def test_a_server_that_drips_holds_no_thread_beyond_the_deadline(server, gateway, name, start):
    server.steps = [server.drip(start)] * 2

    answer, took = timed(gateway, name)

    assert answer == Silence("no whole answer in time", ended=False)
    assert DEADLINE_SECONDS * 0.9 < took < DEADLINE_SECONDS + PATIENCE_SECONDS


@CALLS
def test_a_server_that_says_nothing_is_left_at_the_deadline(server, gateway, name):
    server.steps = [server.hang]

    answer, took = timed(gateway, name)

    assert answer == Silence("no whole answer in time", ended=False)
    assert took < DEADLINE_SECONDS + PATIENCE_SECONDS
    assert len(server.requests) == 1


def test_a_handshake_that_never_ends_is_left_at_the_deadline(server):
    answer, took = timed(basic(server.url.replace("http", "https")), "submit")

    assert answer == Silence("nothing sent in time", ended=True)
    assert took < DEADLINE_SECONDS + PATIENCE_SECONDS


def test_a_handshake_has_only_what_the_connecting_has_left(server, watch, monkeypatch):
    connect = socket.socket.connect

    def slowly(self, address):
        watch.pushed += 30 - DEADLINE_SECONDS
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", slowly)
    account = Account("v2", server.url.replace("http", "https"), client_key="c", secret_key="s")
    gateway = BootpayGateway(account, submit_seconds=30, tick=watch)

    answer, took = timed(gateway, "submit")

    assert answer == Silence("nothing sent in time", ended=True)
    assert took < DEADLINE_SECONDS + PATIENCE_SECONDS


def test_a_resolver_that_hangs_is_left_at_the_deadline(server, monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: server.stopped.wait() and [])

    answer, took = timed(basic(server.url), "submit")
    server.stopped.set()

    assert answer == Silence("nothing sent in time", ended=True)
    assert took < DEADLINE_SECONDS + PATIENCE_SECONDS


def test_past_the_deadline_nothing_is_sent_even_on_a_kept_connection(server, watch, monkeypatch):
    account = Account("v2", server.url, client_key="c", secret_key="s")
    gateway = BootpayGateway(account, submit_seconds=10, tick=watch)
    server.steps = [http(RECEIPT)] * 2
    call(gateway, "look_up")
    prepare = requests.Session.prepare_request

    def slowly(self, request):
        watch.pushed += 15
        return prepare(self, request)

    monkeypatch.setattr(requests.Session, "prepare_request", slowly)

    assert call(gateway, "submit") == Silence("nothing sent in time", ended=True)
    assert len(server.requests) == 1


def test_a_token_that_drips_takes_from_the_same_deadline(server):
    account = Account("v2", server.url, application_id="a", private_key="p")
    gateway = BootpayGateway(account, submit_seconds=DEADLINE_SECONDS)
    server.steps = [server.drip(b"HTTP/1.1 200 OK\r\n")]

    answer, took = timed(gateway, "submit")

    assert answer == Silence("no token: no whole answer in time", ended=True)
    assert took < DEADLINE_SECONDS + PATIENCE_SECONDS


# Connections --------------------------------------------------------------------------------------------------------


def test_calls_share_a_connection(server, gateway):
    server.steps = [http(RECEIPT)] * 3

    answers = [call(gateway, name) for name in ("look_up", "submit", "look_up")]

    assert all(isinstance(answer, GatewayReceipt) for answer in answers)
    assert server.connections == 1
    assert server.lines == ["GET /v2/receipt/r-1?lookup_user_data=false", "POST /v2/confirm", *server.lines[:1]]


def test_threads_keep_a_connection_each(server):
    gateway = BootpayGateway(Account("v2", server.url, client_key="c", secret_key="s"))
    together = threading.Barrier(8)

    def meet(connection):
        together.wait()
        connection.sendall(http(RECEIPT))

    server.steps = [meet] * 16
    for _round in range(2):
        in_threads(8, lambda: call(gateway, "look_up"))

    assert server.connections == 8


def test_nobody_there_is_a_silence_of_a_call_that_never_began(server, gateway):
    server.stop()

    answer = call(gateway, "submit")

    assert answer.ended
    assert "nothing sent" in answer.why


@pytest.mark.parametrize("end", [close, reset])
def test_a_look_up_goes_on_when_the_kept_connection_was_closed(server, gateway, end):
    server.steps = [http(RECEIPT), end, http(RECEIPT)]

    answers = [call(gateway, "look_up"), call(gateway, "look_up")]

    assert all(isinstance(answer, GatewayReceipt) for answer in answers)
    assert len(server.requests) == 3


def test_a_look_up_goes_on_only_once(server, gateway):
    server.steps = [close, close, http(RECEIPT)]

    assert not call(gateway, "look_up").ended
    assert len(server.requests) == 2


@pytest.mark.parametrize("name", ["submit", "cancel"])
@pytest.mark.parametrize("end", [close, reset])
def test_what_moves_money_is_never_sent_again_by_itself(server, gateway, name, end):
    server.steps = [http(RECEIPT), end, http(RECEIPT)]
    call(gateway, "look_up")

    answer = call(gateway, name)

    assert isinstance(answer, Silence)
    assert not answer.ended
    assert len(server.requests) == 2


def test_neither_cookies_nor_the_environments_proxy_are_used(server, gateway, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    server.steps = [http(RECEIPT, "200 OK", "Set-Cookie: session=1; Path=/")] * 2

    assert isinstance(call(gateway, "look_up"), GatewayReceipt)
    call(gateway, "look_up")

    assert "cookie" not in server.requests[1].lower()


def test_a_redirect_is_not_followed(server, gateway):
    server.steps = [http(b"", "302 Found", f"Location: {server.url}/elsewhere"), http(RECEIPT)]

    answer = call(gateway, "look_up")

    assert answer == Silence("302", ended=True)
    assert len(server.requests) == 1


FORK = """
import os, sys, time
from worker.gateway import Account, BootpayGateway

def ask():
    gateway = BootpayGateway(Account("v2", sys.argv[1], client_key="c", secret_key="s"))
    print(type(gateway.look_up("r-1", start_by=time.monotonic() + 60)).__name__, flush=True)

ask()
child = os.fork()
ask() if child == 0 else os.waitpid(child, 0)
"""


def test_a_forked_process_asks_for_itself(server):
    server.steps = [http(RECEIPT)] * 2

    command = [sys.executable, "-W", "ignore", "-c", FORK, server.url]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)

    assert done.stdout.split() == ["GatewayReceipt"] * 2


# Bodies -------------------------------------------------------------------------------------------------------------


def endless(connection):
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n")
    while True:
        connection.sendall(b" " * 65536)


def test_a_huge_body_is_not_read(server):
    gateway = BootpayGateway(Account("v2", server.url, client_key="c", secret_key="s"), lookup_seconds=30)
    server.steps = [endless]

    answer, took = timed(gateway, "look_up")

    assert answer == Silence("200, more than 1048576 bytes", ended=False)
    assert took < 15


def test_a_body_of_just_under_a_mebibyte_is_read(server):
    gateway = BootpayGateway(Account("v2", server.url, client_key="c", secret_key="s"), lookup_seconds=30)
    server.steps = [http(RECEIPT | {"padding": "x" * (1024 * 1024 - 1000)})]

    assert isinstance(call(gateway, "look_up"), GatewayReceipt)


@pytest.mark.parametrize(
    ("raw", "ended"),
    [
        (http(b'{"receipt_id": "r-1", "pri'), True),
        (http(b"<html>502</html>", "502 Bad Gateway"), True),
        (http(b"<html>504</html>", "504 Gateway Timeout"), False),
        (http(RECEIPT)[:-5], False),
        (b"HTTP/1.1 200 OK\r\n\r\n" + json.dumps(RECEIPT).encode()[:-5], False),
        (b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"a":', False),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n{}", False),
        (b"HTTP/1.1 200", False),
        (b"what?\r\n\r\n", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}", False),
    ],
    ids=[
        "half",
        "proxy",
        "proxy gave up",
        "cut",
        "cut without a length",
        "cut chunk",
        "negative chunk",
        "cut head",
        "no HTTP",
        "two lengths",
    ],
)
def test_what_cannot_be_read_is_silence_and_only_a_whole_answer_ends_the_call(server, gateway, raw, ended):
    def send(connection):
        connection.sendall(raw)
        close(connection)

    server.steps = [send]

    answer = call(gateway, "submit")

    assert isinstance(answer, Silence)
    assert answer.ended is ended


# When it must have begun ----------------------------------------------------------------------------------------------


@CALLS
def test_too_late_at_the_beginning_not_even_a_token_is_asked_for(server, with_token, name):
    server.steps = [http(TOKEN), http(RECEIPT)]
    arguments = ("r-1", "c-1") if name == "cancel" else ("r-1",)

    with pytest.raises(ClaimLost):
        getattr(with_token, name)(*arguments, start_by=time.monotonic() - 0.001)

    assert server.requests == []


def test_too_late_once_there_is_a_token_nothing_is_submitted(server, watch, with_token):
    def slowly(connection):
        watch.pushed += 5
        connection.sendall(http(TOKEN))

    server.steps = [slowly, http(RECEIPT)]

    with pytest.raises(ClaimLost):
        with_token.submit("r-1", start_by=watch() + 4)

    assert server.lines == ["POST /v2/request/token"]


def test_too_late_once_there_is_a_connection_nothing_is_submitted(server, watch, monkeypatch):
    resolve = socket.getaddrinfo

    def slowly(*arguments):
        watch.pushed += 5
        return resolve(*arguments)

    monkeypatch.setattr(socket, "getaddrinfo", slowly)
    account = Account("v2", server.url, client_key="c", secret_key="s")
    gateway = BootpayGateway(account, submit_seconds=10, tick=watch)

    with pytest.raises(ClaimLost):
        gateway.submit("r-1", start_by=watch() + 4)

    assert server.requests == []


# Tokens -------------------------------------------------------------------------------------------------------------

UNAUTHORISED = http({"error_code": "TOKEN_KEY_INVALID", "message": "old"}, "401 Unauthorized")


def test_a_401_renews_the_token_and_makes_the_call_once_more(server, with_token):
    server.steps = [http(TOKEN), UNAUTHORISED, http(TOKEN | {"access_token": "token-2"}), http(RECEIPT)]

    assert isinstance(call(with_token, "submit"), GatewayReceipt)
    assert server.lines == ["POST /v2/request/token", "POST /v2/confirm"] * 2
    assert "Authorization: Bearer token-2" in server.requests[3]


def test_a_second_401_is_silence(server, with_token):
    server.steps = [http(TOKEN), UNAUTHORISED, http(TOKEN), UNAUTHORISED, http(TOKEN), http(RECEIPT)]

    assert call(with_token, "submit") == Silence("401 TOKEN_KEY_INVALID", ended=True)
    assert len(server.requests) == 4


def test_a_401_renews_in_v1_too(server):
    gateway = BootpayGateway(Account("v1", server.url, application_id="a", private_key="p"))
    token = {"status": 200, "code": 0, "data": {"token": "t", "server_time": 1000, "expired_at": 2800}}
    no = http({"status": 401, "code": -2401, "message": "", "data": {}}, "401 Unauthorized")
    yes = http({"status": 200, "code": 0, "message": "", "data": RECEIPT})
    server.steps = [http(token), no, http(token), yes]

    assert isinstance(call(gateway, "submit"), GatewayReceipt)
    assert "Authorization: t\r\n" in server.requests[3]


def test_a_401_of_the_keys_themselves_is_silence_at_once(server, gateway):
    server.steps = [UNAUTHORISED, http(RECEIPT)]

    assert call(gateway, "submit") == Silence("401 TOKEN_KEY_INVALID", ended=True)
    assert len(server.requests) == 1
    assert "Authorization: Basic Y2xpZW50OnNlY3JldC1rZXk=" in server.requests[0]


def test_wrong_keys_are_silence_without_a_call(server, with_token):
    server.steps = [http({"error_code": "APP_SK_NOT_MATCHED", "message": "private-key is wrong"}, "401 Unauthorized")]

    answer = call(with_token, "submit")

    assert answer == Silence("401 APP_SK_NOT_MATCHED (token)", ended=True)
    assert server.lines == ["POST /v2/request/token"]


@pytest.mark.parametrize(
    "token",
    [
        {"access_token": "a\r\nX-Evil: 1"},
        {"access_token": "열쇠"},
        {"access_token": ""},
        {"access_token": 5},
        {"expire_in": 0},
        {"expire_in": "1800"},
        {"expire_in": True},
    ],
)
def test_a_token_that_cannot_be_one_is_not_used(server, with_token, token):
    server.steps = [http(TOKEN | token)]

    answer = call(with_token, "submit")

    assert answer == Silence("not the token we know", ended=True)
    assert len(server.requests) == 1


def test_a_token_serves_for_25_minutes(server, watch, with_token):
    server.steps = [http(TOKEN), http(RECEIPT), http(RECEIPT), http(TOKEN | {"access_token": "token-2"}), http(RECEIPT)]
    start_by = time.monotonic() + 36000

    for minutes in (0, 24.9, 0.2):
        watch.pushed += minutes * 60
        with_token.look_up("r-1", start_by=start_by)

    assert server.lines.count("POST /v2/request/token") == 2
    assert "Bearer token-2" in server.requests[4]


def test_a_token_that_cannot_be_renewed_serves_to_its_end(server, watch, with_token):
    broken = http(b"<html>", "502 Bad Gateway")
    server.steps = [http(TOKEN), http(RECEIPT), broken, http(RECEIPT), broken]
    start_by = time.monotonic() + 36000

    answers = []
    for minutes in (0, 26, 5):
        watch.pushed += minutes * 60
        answers.append(with_token.look_up("r-1", start_by=start_by))

    assert isinstance(answers[1], GatewayReceipt)
    assert answers[2] == Silence("502 (token)", ended=True)


def test_32_threads_ask_for_one_token(server, with_token):
    server.steps = [http(TOKEN), *[http(RECEIPT)] * 32]
    answers = []

    in_threads(32, lambda: answers.append(call(with_token, "look_up")))

    assert server.lines.count("POST /v2/request/token") == 1
    assert [type(answer) for answer in answers] == [GatewayReceipt] * 32


def test_who_waits_for_anothers_token_waits_within_its_own_deadline(server):
    account = Account("v2", server.url, application_id="a", private_key="p")
    gateway = BootpayGateway(account, lookup_seconds=DEADLINE_SECONDS, submit_seconds=30)
    server.steps = [server.hang]
    asker = threading.Thread(target=call, args=(gateway, "submit"))
    asker.start()
    while not server.requests:
        time.sleep(0.01)

    answer, took = timed(gateway, "look_up")
    server.stop()
    asker.join()

    assert answer == Silence("no token in time", ended=True)
    assert took < DEADLINE_SECONDS + PATIENCE_SECONDS
