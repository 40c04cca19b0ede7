"""One spelling of Redis behind Sentinels, for every program: `sentinel://[user:password@]host[:port],…/0?master_name=…`.

User and password are Redis's own. Where the Sentinels ask for a password too, it stands behind `sentinel_password`.
kombu's way, `sentinel://host;sentinel://host`, is read as well.
"""

# mypy: disable-error-code="no-untyped-call"

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel

SCHEME = "sentinel"
PORT = 26379
EXAMPLE = "sentinel://:password@one.example:26379,two.example:26379/0?master_name=payconfirm"
#: Each Sentinel in turn is asked who the master is, and given so long.
ASK_SECONDS = 1.0

_WORDS = {"master_name", "sentinel_username", "sentinel_password"}


@dataclass(frozen=True)
class Sentinels:
    """Where the Sentinels are, which master is meant, and how both are logged in to."""

    hosts: tuple[tuple[str, int], ...]
    master_name: str
    database: int
    username: str | None
    password: str | None
    sentinel_username: str | None
    sentinel_password: str | None

    @property
    def asking(self) -> dict[str, Any]:
        """How a Sentinel is connected to: quick to give up, since the next one knows as much."""
        login = {"username": self.sentinel_username, "password": self.sentinel_password}
        return {
            "socket_timeout": ASK_SECONDS,
            "socket_connect_timeout": ASK_SECONDS,
            "retry": Retry(NoBackoff(), 0),
            **{name: value for name, value in login.items() if value},
        }

    @property
    def login(self) -> dict[str, Any]:
        """What the master is told first."""
        login = {"username": self.username, "password": self.password}
        return {"db": self.database, **{name: value for name, value in login.items() if value}}

    def master(self, **options: Any) -> Redis:  # noqa: ANN401 — redis-py's own
        """Build a client of whoever is the master; each new connection asks the Sentinels anew."""
        asked = Sentinel(self.hosts, sentinel_kwargs=self.asking)
        client: Redis = asked.master_for(self.master_name, **self.login, **options)
        return client

    @property
    def kombu_url(self) -> str:
        """The same as kombu wants it; the master's name is in `kombu_options`."""
        user, password = quote(self.username or "", safe=""), quote(self.password or "", safe="")
        login = f"{user}:{password}@" if user or password else ""
        return ";".join(f"{SCHEME}://{login}{_bracketed(host)}:{port}/{self.database}" for host, port in self.hosts)

    @property
    def kombu_options(self) -> dict[str, Any]:
        """The transport options that go with it."""
        return {"master_name": self.master_name, "sentinel_kwargs": self.asking}


def is_sentinel(url: str) -> bool:
    """Whether Redis is behind Sentinels there."""
    return url.startswith(f"{SCHEME}://")


def for_kombu(url: str, options: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Say a broker's address and options as kombu wants them; only a `sentinel://` changes. Raises `ValueError`."""
    if not is_sentinel(url):
        return url, dict(options)
    sentinels = read_sentinels(url, options.get("master_name"))
    return sentinels.kombu_url, {**sentinels.kombu_options, **options}


def read_sentinels(url: str, master_name: str | None = None) -> Sentinels:
    """Read an address. Raises `ValueError` that says what is wrong with it, and never a part of it."""
    pieces = [piece.rpartition("://") for piece in url.split(";")]
    if any(scheme != SCHEME for scheme, _, _ in pieces):
        raise ValueError(f"is an address such as {EXAMPLE}")
    *_, (_, _, rest) = pieces  # kombu's way ends with what is true of all of them
    hosts = [host for _, _, piece in pieces for host in _hosts(piece)]
    parts = urlsplit(f"//{_place(rest)[0]}host{rest[len(''.join(_place(rest))) :]}")
    words = _words(parts.query)
    name = words.get("master_name") or master_name
    if not name:
        raise ValueError(f"needs the master's name, as the Sentinels know it: {EXAMPLE}")
    return Sentinels(
        hosts=tuple(hosts),
        master_name=name,
        database=_database(parts.path),
        username=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        sentinel_username=words.get("sentinel_username"),
        sentinel_password=words.get("sentinel_password"),
    )


def _place(rest: str) -> tuple[str, str]:
    """What stands before the @, with it, and the hosts."""
    login, at, hosts = re.split(r"[/?]", rest, maxsplit=1)[0].rpartition("@")
    return login + at, hosts


def _hosts(rest: str) -> list[tuple[str, int]]:
    try:
        parts = [urlsplit(f"//{host}") for host in _place(rest)[1].split(",")]
        hosts = [(part.hostname, part.port or PORT) for part in parts]
    except ValueError:
        hosts = []
    named = [(host, port) for host, port in hosts if host]
    if not named or len(named) < len(hosts):
        raise ValueError(f"names each Sentinel as host:port, with commas between them: {EXAMPLE}")
    return named


def _words(query: str) -> dict[str, str]:
    words = dict(parse_qsl(query, keep_blank_values=True))
    if words.keys() - _WORDS:
        raise ValueError(f"knows no more than {', '.join(sorted(_WORDS))} after its question mark")
    return words


def _database(path: str) -> int:
    number = path.strip("/") or "0"
    if not number.isascii() or not number.isdigit():
        raise ValueError(f"ends with the number of a database: {EXAMPLE}")
    return int(number)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
