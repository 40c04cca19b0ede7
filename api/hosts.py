"""Which hosts callbacks may go to: `CALLBACK_ALLOWED_HOSTS`."""

import ipaddress
from urllib.parse import urlsplit


class AllowedHosts:
    """Exact hosts, and `*.example.com` for everything below one."""

    def __init__(self, allowed: str) -> None:
        names = [_name(entry) for entry in allowed.split()]
        self._exact = frozenset(name for name in names if not name.startswith("*."))
        self._below = tuple(name[1:] for name in names if name.startswith("*."))

    def flaw(self, url: str | None) -> str | None:
        """Say why no callback may go there. Where the name leads is looked at before each delivery."""
        if url is None:
            return None
        parts = urlsplit(url)
        host = _name(parts.hostname or "")
        if host not in self._exact and not (host.endswith(self._below) and _address(host) is None):
            return "names a host that callbacks may not go to"
        if parts.scheme != "https" and not _may_be_http(host):
            return "must begin with https://"
        return None


def _may_be_http(host: str) -> bool:
    """Say whether it stays within the own network; only who runs this can have listed such a host."""
    address = _address(host)
    return host == "localhost" or (address is not None and not address.is_global)


def _name(host: str) -> str:
    """Give one spelling for each host."""
    bare = host.lower().removeprefix("[").removesuffix("]")
    address = _address(bare)
    return bare if address is None else str(address)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
