"""Which URLs and networks outbound requests may reach."""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Self


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundPolicy:
    """The default is strict: https and public addresses only.

    `allowed_networks` are internal ranges that the operator allows: they are never refused.
    """

    allow_http: bool = False
    allowed_networks: tuple[IPv4Network | IPv6Network, ...] = ()

    @classmethod
    def allowing(cls, networks: Iterable[str], *, allow_http: bool = False) -> Self:
        """Build from text such as "10.2.0.0/16"; ValueError names an invalid network."""
        allowed = tuple(ip_network(network.strip()) for network in networks)
        return cls(allow_http=allow_http, allowed_networks=allowed)
