"""The network of a client: precise enough to recognise scanners, too coarse for people."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from django.http import HttpRequest

_PREFIX_LENGTH = {4: 24, 6: 48}  # bits by IP version


def network_of(request: HttpRequest) -> str | None:
    """The first address of the client's /24 or /48; None when the address can't be parsed.

    A peer without a public address is a proxy: then the client is the last address in
    X-Forwarded-For, which the proxy itself appended.
    """
    peer = _parse_address(request.META.get("REMOTE_ADDR", ""))
    last_hop = request.headers.get("X-Forwarded-For", "").rpartition(",")[2]
    if (peer is None or not peer.is_global) and (forwarded := _parse_address(last_hop)):
        peer = forwarded
    if peer is None:
        return None
    return str(ip_network((peer, _PREFIX_LENGTH[peer.version]), strict=False).network_address)


def _parse_address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text.strip().partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
