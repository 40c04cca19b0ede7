"""Connections that keep a call's deadline whatever the server does.

A time-out of requests is one of each socket operation: a server that drips a byte a second never meets it and would
hold a thread for hours. Here the socket's time-out is set to what is left of the call before *every* connect, send and
receive, so their sum can't pass the deadline. That needs no watchdog: a thread waits in one operation at a time.
TLS is no exception: Python counts the time-out of a handshake, a read or a write over all the records that it needs.

The resolver alone knows no time-out. It runs in a thread of its own, one for the process, and a call waits for it no
longer than it has time.
"""

import io
import os
import socket
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from http.client import HTTPResponse
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import NameResolutionError, NewConnectionError

from worker.gateway.call import current

#: Any number of these may come first (RFC 9110); 101 ends HTTP, and nobody asked for that.
_BEFORE_THE_ANSWER = range(102, 200)


@cache
def _resolver(_process_id: int) -> ThreadPoolExecutor:
    """Return the process's resolver. A thread doesn't survive a fork, so a child has another."""
    return ThreadPoolExecutor(1, thread_name_prefix="resolver")


class TooMuch(OSError):
    """The other side has said more than the call takes."""


class _Reader(io.RawIOBase):
    """What a response reads from: each receive waits only for what is left of the call, and takes only so much."""

    def __init__(self, sock: socket.socket) -> None:
        self._call = current()
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)
        self._bytes = 0

    def makefile(self, _mode: str) -> io.BufferedReader:
        """Stand in for the socket that `http.client` makes its file from."""
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:  # noqa: ANN401 - a buffer has no name before Python 3.12
        self._sock.settimeout(self._call.remaining_seconds())
        if self._bytes >= self._call.most_bytes:
            raise TooMuch("the answer is longer than the call takes")
        received = self._raw.readinto(buffer)
        self._bytes += received or 0
        return received

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(HTTPResponse):
    """The answer itself, whatever is said before it."""

    def begin(self) -> None:
        """Read as far as the body. http.client knows of 100 alone, and would take Early Hints for the answer."""
        super().begin()
        while self.status in _BEFORE_THE_ANSWER:
            self.headers = None  # type: ignore[assignment]  # so that it begins anew
            super().begin()


def _respond(sock: socket.socket, *args: Any, **kwargs: Any) -> HTTPResponse:  # noqa: ANN401 - http.client's own
    return _Response(_Reader(sock), *args, **kwargs)  # type: ignore[arg-type]


class Connection(HTTPConnection):
    """A connection that asks the calling thread's call how long it may wait, and whether it may still begin."""

    response_class = staticmethod(_respond)  # type: ignore[assignment]

    def _new_conn(self) -> socket.socket:
        failure: OSError = OSError("the name has no address")
        for family, kind, protocol, _name, address in self._resolve():
            sock = socket.socket(family, kind, protocol)
            try:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sock.settimeout(current().remaining_seconds())
                sock.connect(address)
                sock.settimeout(current().remaining_seconds())  # for the handshake that may follow
            except OSError as error:
                sock.close()
                failure = error
            else:
                return sock
        raise NewConnectionError(self, "can't connect") from failure

    def _resolve(self) -> list[tuple[Any, ...]]:
        asked = _resolver(os.getpid()).submit(socket.getaddrinfo, self._dns_host, self.port, 0, socket.SOCK_STREAM)
        try:
            return asked.result(current().remaining_seconds())
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error
        finally:
            asked.cancel()

    def send(self, data: Any) -> None:  # noqa: ANN401 - http.client's own
        """Send these bytes in the time that is left."""
        if self.sock is None:
            self.connect()
        call = current()
        self.sock.settimeout(call.remaining_seconds())
        call.begin_to_send()
        super().send(data)


class SecureConnection(Connection, HTTPSConnection):
    """The same over TLS."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = SecureConnection


class _Adapter(HTTPAdapter):
    """Never repeats a request by itself: whether that is safe is for the caller to know."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - requests' own
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> None:
        """Know of no redirects: even one that isn't followed would have its body read whole."""


def build_session(connections: int) -> requests.Session:
    """Build the process's pool: no proxy or netrc of the environment, no cookies, no redirects, no retries."""
    session = _Session()
    session.trust_env = False
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.headers.clear()
    session.headers.update({"User-Agent": "payconfirm", "Accept": "application/json", "Accept-Encoding": "identity"})
    adapter = _Adapter(pool_connections=1, pool_maxsize=connections, max_retries=0)
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    return session
