"""Decides which IP addresses customers may make us connect to."""

from ipaddress import IPv4Address, IPv6Address, ip_address

from core.outbound.networks import GLOBAL_UNICAST_IPV6, REFUSED_IPV4, REFUSED_IPV6
from core.outbound.policy import OutboundPolicy

IPAddress = IPv4Address | IPv6Address

STRICT = OutboundPolicy()

# RFC 5214, section 6.1: the interface identifier is [00-03]00:5EFE followed by an IPv4 address.
_ISATAP_MASK = 0xFCFF_FFFF
_ISATAP = 0x0000_5EFE


class UnsafeAddress(Exception):
    """A host name or address is inside a network that customers must not reach."""


def is_public(address: str | IPAddress) -> bool:
    """True for a public internet address, regardless of the networks that a policy allows."""
    return why_unsafe(address, STRICT) is None


def why_unsafe(address: str | IPAddress, policy: OutboundPolicy) -> str | None:
    """Why connecting there is refused, such as "a private address (RFC 1918)"; None if allowed.

    An IPv4-mapped IPv6 address is checked as the IPv4 address that the kernel would connect to.
    """
    try:
        parsed = ip_address(address)
    except ValueError:
        return "not an IP address"
    effective = _unmapped(parsed)
    if any(effective in network or parsed in network for network in policy.allowed_networks):
        return None
    if isinstance(effective, IPv4Address):
        return next((why for network, why in REFUSED_IPV4 if effective in network), None)
    return _why_unsafe_ipv6(effective)


def _unmapped(address: IPAddress) -> IPAddress:
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _why_unsafe_ipv6(address: IPv6Address) -> str | None:
    for network, why in REFUSED_IPV6:
        if address in network:
            return why
    if address not in GLOBAL_UNICAST_IPV6:
        return "outside the global unicast space (RFC 4291)"
    if (int(address) >> 32) & _ISATAP_MASK == _ISATAP:
        return "an ISATAP address (RFC 5214)"
    return None
