"""Where a request came from, closely enough to tell machines apart and not people."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from django.http import HttpRequest

_KEPT = {4: 24, 6: 48}  # bits


def network_of(request: HttpRequest) -> str | None:
    """The first address of the client's /24 or /48; None when there is none to be read.

    Behind a proxy, whose address is no public one, it is the last that X-Forwarded-For names: the
    proxy wrote that one itself.
    """
    peer = _address(request.META.get("REMOTE_ADDR", ""))
    named = request.headers.get("X-Forwarded-For", "").rpartition(",")[2]
    if (peer is None or not peer.is_global) and (forwarded := _address(named)):
        peer = forwarded
    if peer is None:
        return None
    return str(ip_network((peer, _KEPT[peer.version]), strict=False).network_address)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text.strip().partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
