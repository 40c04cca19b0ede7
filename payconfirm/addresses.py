"""Whether the address of a server can be read: said before it is used, and never with a part of it.

Where a password isn't percent-encoded, what libraries take for a port or a host is half a password, and they show it.
"""

import re
from collections.abc import Container
from urllib.parse import SplitResult, urlsplit

from payconfirm.sentinel import is_sentinel, read_sentinels

#: Where results, locks and hints are.
RESULTS = ("redis", "rediss", "sentinel")
#: Where messages wait.
BROKERS = (*RESULTS, "amqp", "amqps")


def check_address(url: str, schemes: tuple[str, ...]) -> str:
    """Give the address of a Redis or a RabbitMQ, or of a broker's several with semicolons between them, as kombu does.

    Raises `ValueError` that says what would be right.
    """
    if is_sentinel(url) and "sentinel" in schemes:
        read_sentinels(url)
        return url
    several = url.split(";")
    if len(several) > 1 and "amqp" not in schemes:
        raise ValueError("names one server; and ; in a password is written %3B")
    for one in several:
        _check(one, schemes)
    return url


def check_named(what: str, url: str, schemes: tuple[str, ...]) -> str:
    """Check an address that somebody hands over in code, where no variable names it. Raises `ValueError` that does."""
    try:
        return check_address(url, schemes)
    except ValueError as wrong:
        raise ValueError(f"{what} {wrong}") from None


def read_parts(url: str) -> SplitResult:
    """Take an address apart. Raises `ValueError` for one whose password makes it another."""
    try:
        parts = urlsplit(url)
        readable = parts.port != 0 and parts.netloc.count("@") < 2  # reading the port raises, too
    except ValueError:
        readable = False
    if not readable or parts.fragment or "@" in parts.path + parts.query:
        raise ValueError(
            "can't be read: a port is a number up to 65535, "
            "and / ? # @ [ ] ; in a password are written %2F %3F %23 %40 %5B %5D %3B"
        )
    return parts


def _check(url: str, schemes: Container[str]) -> None:
    if url.partition("://")[0] not in schemes:
        known = ", ".join(f"{scheme}://" for scheme in BROKERS if scheme in schemes)
        raise ValueError(f"is an address that begins with {known}")
    parts = read_parts(url)
    if not parts.hostname:
        raise ValueError(f"names no host: {parts.scheme}://user:password@host:port")
    if parts.scheme in RESULTS and not re.fullmatch(r"/{0,2}[0-9]*", parts.path):
        raise ValueError("ends with the number of a database, such as redis://:password@host:6379/0")
