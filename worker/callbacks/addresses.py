"""Which addresses are in the public internet. What isn't surely public is not."""

import ipaddress

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

#: Python knows most of these as not global, but not in each of its releases; and some lead elsewhere than they say.
_NEVER = tuple(
    map(
        ipaddress.ip_network,
        (
            "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
            "192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16",
            "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
            "::/96",          # unspecified, loopback, and IPv4-compatible ones
            "64:ff9b:1::/48", # NAT64 of a network's own: where it leads only that network knows
            "100::/64",
            "2001::/23",      # Teredo, benchmarks, ORCHID and what else isn't a host's
            "2001:db8::/32",
            "2002::/16",      # 6to4: through whatever relay there is, to any IPv4 address
            "3fff::/20",
            "5f00::/16",
            "fc00::/7",
            "fe80::/10",
            "fec0::/10",
            "ff00::/8",
        ),
    )
)  # fmt: skip

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def is_public(address: Address) -> bool:
    """Say whether this is a host in the public internet. An IPv4 address inside an IPv6 one is what counts."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            return False
        inside = address.ipv4_mapped
        if address in _NAT64:
            inside = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
        if inside is not None:
            return is_public(inside)
    if any(address in network for network in _NEVER if network.version == address.version):
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def read_address(host: str) -> Address | None:
    """Read an address that is written as one; None for a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
