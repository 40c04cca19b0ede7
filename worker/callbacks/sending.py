"""One POST to an address that somebody else named: where it really leads is checked, and no answer can hold us.

The name is resolved once. Every address of the answer is looked at, and the connection goes to one of those, so that a
name which leads elsewhere a moment later leads nowhere. Nothing follows a redirect, and nothing of the environment (a
proxy, a netrc) or of an earlier answer (a cookie, a connection) takes part, since this is no session but one request.
The time is one for all of it: the gateway's connections keep it, whatever the other side does.
"""

import ipaddress
import math
import os
import socket
import ssl
import string
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, cached_property
from http.client import HTTPException
from typing import Any
from urllib.parse import quote, urlsplit

import certifi
from urllib3 import HTTPResponse
from urllib3.exceptions import HTTPError

from worker.callbacks.addresses import Address
from worker.callbacks.hosts import AllowedHosts
from worker.gateway.call import Call, calling, current
from worker.gateway.connections import Connection, SecureConnection, TooMuch

#: The contract's: for the name, the connection, the request and the whole answer together.
TOTAL_SECONDS = 10.0
#: No more of an answer's body is read.
MOST_BYTES = 64 * 1024
#: No more of all of it, with its headers and with what comes before it, which may be any number of 100s.
MOST_BYTES_IN_ALL = 2 * MOST_BYTES
_CHUNK_BYTES = 8 * 1024
#: A resolver has no time-out of its own. One that hangs holds one of these, not the others' names.
_RESOLVING_AT_ONCE = 64

#: What connecting, sending and reading raise. The last two are http.client's own, for what isn't HTTP.
_FAILURES = (HTTPError, OSError, HTTPException, ValueError)


class NotAllowed(OSError):
    """The name leads to an address that callbacks may not go to."""


@dataclass(frozen=True)
class Answer:
    """What the shop's server said; the body up to the limit, for people."""

    status: int
    body: bytes
    retry_after: str | None = None


@dataclass(frozen=True)
class NoAnswer:
    """Why there is none, in words without anything of the request."""

    why: str


class Post:
    """Sends single requests to allowed hosts."""

    def __init__(
        self, hosts: AllowedHosts, *, total_seconds: float = TOTAL_SECONDS, ca_file: str | None = None
    ) -> None:
        self._hosts = hosts
        self._total_seconds = total_seconds
        self._ca_file = ca_file

    def send(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer | NoAnswer:
        """Send it and read the answer. The URL's shape and host have been checked."""
        ends_at = time.monotonic() + self._total_seconds
        call = Call(time.monotonic, ends_at, start_by=math.inf, most_bytes=MOST_BYTES_IN_ALL)
        with calling(call):
            try:
                return self._exchange(url, headers, body)
            except NotAllowed as why:
                return NoAnswer(str(why))
            except TooMuch:
                return NoAnswer(f"its answer has more than {MOST_BYTES_IN_ALL // 1024} KiB before its body")
            except _FAILURES as error:
                return NoAnswer(_why(call, error))

    def _exchange(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        parts = urlsplit(url)
        connection = self._connection(parts.scheme, parts.hostname or "", parts.port)
        target = quote((parts.path or "/") + (f"?{parts.query}" if parts.query else ""), safe=string.punctuation)
        try:
            connection.request("POST", target, body, headers, preload_content=False, decode_content=False)
            response = connection.getresponse()
            return Answer(response.status, _read(response), response.headers.get("Retry-After"))
        finally:
            connection.close()

    def _connection(self, scheme: str, host: str, port: int | None) -> "_Checked | _SecureChecked":
        if scheme == "https":
            made: _Checked | _SecureChecked = _SecureChecked(host, port or 443, ssl_context=self._tls)
        else:
            made = _Checked(host, port or 80)
        made.hosts = self._hosts
        return made

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        """What the machine trusts, and what certifi does; certificates and names are always checked."""
        context = ssl.create_default_context()
        context.load_verify_locations(self._ca_file or certifi.where())
        return context


class _Checked(Connection):
    """Connects to an address that was looked at, and to no other."""

    hosts: AllowedHosts

    def _resolve(self) -> list[tuple[Any, ...]]:
        return _checked(self.hosts, self._dns_host, self.port)


class _SecureChecked(SecureConnection):
    """The same over TLS, for the name and not for the address."""

    hosts: AllowedHosts

    def _resolve(self) -> list[tuple[Any, ...]]:
        return _checked(self.hosts, self._dns_host, self.port)


def _checked(hosts: AllowedHosts, host: str, port: int) -> list[tuple[Any, ...]]:
    """Resolve the name. Where one of its addresses may not be gone to, none is: somebody plays with it."""
    found = _resolve(host, port)
    for *_, where in found:
        address = _address(where)
        if not hosts.may_lead_to(host, address):
            raise NotAllowed(f"leads to {address}, which isn't public and isn't allowed")
    return found


def _resolve(host: str, port: int) -> list[tuple[Any, ...]]:
    asked = _resolvers(os.getpid()).submit(socket.getaddrinfo, host, port, 0, socket.SOCK_STREAM)
    try:
        return asked.result(current().remaining_seconds())
    finally:
        asked.cancel()


@cache
def _resolvers(_process_id: int) -> ThreadPoolExecutor:
    """Return the process's resolvers. A thread doesn't survive a fork, so a child has others."""
    return ThreadPoolExecutor(_RESOLVING_AT_ONCE, thread_name_prefix="resolver")


def _address(where: Sequence[Any]) -> Address:
    """Read a socket's address; one of IPv6 may be bound to an interface."""
    host = str(where[0])
    return ipaddress.ip_address(f"{host}%{where[3]}" if len(where) == 4 and where[3] and "%" not in host else host)


def _read(response: HTTPResponse) -> bytes:
    """Read up to the limit. What was said is the status: a body that breaks off or never ends takes nothing back."""
    body = b""
    with suppress(*_FAILURES):
        while chunk := response.read1(min(_CHUNK_BYTES, MOST_BYTES - len(body)), decode_content=False):
            body += chunk
    return body


def _why(call: Call, error: Exception) -> str:
    """Say it in words; the error's own text may hold the address."""
    if call.over or isinstance(error, TimeoutError):
        return "no answer in time"
    names = [type(each).__name__ for each in (error, error.__cause__) if each is not None]
    verify = next((each for each in (error, error.__cause__) if isinstance(each, ssl.SSLCertVerificationError)), None)
    if verify is not None:
        return f"its certificate isn't trusted: {verify.verify_message}"
    return f"no answer ({', '.join(names)})"
