"""Which addresses the gateway's webhooks may come from: `WEBHOOK_SOURCES`."""

import ipaddress


class Sources:
    """Networks; where none are named, every address may knock: a webhook is a hint and nothing more."""

    def __init__(self, networks: str) -> None:
        self._networks = [ipaddress.ip_network(network) for network in networks.split()]

    def allow(self, host: str | None) -> bool:
        """Say whether this peer, or the one that a trusted proxy names, may send webhooks."""
        if not self._networks:
            return True
        try:
            address = ipaddress.ip_address(host or "")
        except ValueError:
            return False
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        return any(address in network for network in self._networks)
