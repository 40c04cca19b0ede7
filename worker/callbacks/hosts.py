"""Which hosts callbacks may go to: `CALLBACK_ALLOWED_HOSTS`. The HTTP door and each delivery ask the same."""

from urllib.parse import urlsplit

from payconfirm.checks import check_callback_url
from worker.callbacks.addresses import Address, is_public, read_address

LOCALHOST = "localhost"


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
        try:
            parts = urlsplit(check_callback_url(url))
        except ValueError as wrong:
            return str(wrong)
        host = _name(parts.hostname or "")
        if host not in self._exact and not (host.endswith(self._below) and read_address(host) is None):
            return "names a host that callbacks may not go to: it isn't in CALLBACK_ALLOWED_HOSTS"
        if parts.scheme != "https" and not _may_be_http(host):
            return "must begin with https://"
        return None

    def may_lead_to(self, host: str, address: Address) -> bool:
        """Say whether a callback to this host may be sent to this address, which its name leads to.

        Only a public one, unless that very address stands in the list; `localhost` there means this machine.
        """
        if is_public(address) or str(address) in self._exact:
            return True
        return address.is_loopback and host.lower() == LOCALHOST and LOCALHOST in self._exact


def _may_be_http(host: str) -> bool:
    """Say whether it stays within the own network; only who runs this can have listed such a host."""
    address = read_address(host)
    return host == LOCALHOST or (address is not None and not is_public(address))


def _name(host: str) -> str:
    """Give one spelling for each host."""
    bare = host.lower().removeprefix("[").removesuffix("]")
    address = read_address(bare)
    return bare if address is None else str(address)
