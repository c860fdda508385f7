"""Which client a request comes from, for limits: coarse, but hard for the client to change."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from django.conf import settings
from django.http import HttpRequest

# A provider gives every customer at least a /64 (RFC 6177), so single IPv6 addresses are free.
_IPV6_PREFIX = 64


def client_network(request: HttpRequest) -> str | None:
    """The IPv4 address, or the first address of the IPv6 /64; None when it can't be parsed.

    Behind a declared proxy (BEHIND_TLS_PROXY) it is the last address in X-Forwarded-For, which
    the proxy itself appended: callers can forge the others, and without a proxy all of them.
    """
    address = _parse(request.META.get("REMOTE_ADDR", ""))
    if settings.BEHIND_TLS_PROXY:
        last_hop = request.headers.get("X-Forwarded-For", "").rpartition(",")[2]
        address = _parse(last_hop) or address
    if isinstance(address, IPv6Address):
        return str(ip_network((address, _IPV6_PREFIX), strict=False).network_address)
    return str(address) if address else None


def _parse(text: str) -> IPv4Address | IPv6Address | None:
    """Some proxies append the port: `192.0.2.1:4711`, `[2001:db8::1]:4711`."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
