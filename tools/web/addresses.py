"""Which network addresses are the public internet: nothing private, local or reserved, however it is written."""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address

# What `is_global` takes for public, and is not: protocol assignments, where one cloud has its metadata, a multicast
# relay, the host agent of another cloud.
_OTHERS = tuple(IPv4Network(net) for net in ("192.0.0.0/24", "192.88.99.0/24", "168.63.129.16/32"))
_UNICAST = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")
_DOCUMENTATION = IPv6Network("3fff::/20")
_ISATAP = (0x00005EFE, 0x02005EFE)


def read_address(text: str) -> Address | None:
    """The address a resolver gave, without a zone; None where it is none."""
    try:
        return ip_address(text.partition("%")[0])
    except ValueError:
        return None


def is_public(address: Address) -> bool:
    """Whether an address, and each IPv4 address within it, lies on the public internet."""
    return all(_plainly_public(one) for one in _unwrapped(address))


def _unwrapped(address: Address) -> Iterator[Address]:
    """The IPv4 addresses that an IPv6 address stands for, or the address itself; several for a tunnel."""
    if isinstance(address, IPv4Address):
        yield address
        return
    low = IPv4Address(int(address) & 0xFFFFFFFF)
    if address.ipv4_mapped is not None or address in _NAT64:
        yield low
        return
    yield address
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo
    if (int(address) >> 32) & 0xFFFFFFFF in _ISATAP:
        yield low


def _plainly_public(address: Address) -> bool:
    if not address.is_global or address.is_multicast or address.is_reserved:
        # `is_global` is False for all of Teredo and for 6to4's relays; what they embed is looked at beside
        return isinstance(address, IPv6Address) and (address.teredo or address.sixtofour) is not None
    if isinstance(address, IPv4Address):
        return not any(address in net for net in _OTHERS)
    return address in _UNICAST and address not in _DOCUMENTATION
