"""Networks that a customer's URL must not reach, with the document that reserves each.

The table is our own because the one in Python's `ipaddress` changes between patch releases.
Order matters where ranges overlap: the first match gives the reason, so specific ranges come first.
"""

from ipaddress import IPv4Network, IPv6Network

REFUSED_IPV4: tuple[tuple[IPv4Network, str], ...] = tuple(
    (IPv4Network(network), reason)
    for network, reason in (
        ("169.254.169.254/32", "a cloud metadata service"),
        ("169.254.170.2/32", "the Amazon ECS credentials endpoint"),
        ("169.254.170.23/32", "the Amazon EKS credentials endpoint"),
        ("100.100.100.200/32", "the Alibaba Cloud metadata service"),
        ("192.0.0.192/32", "the Oracle Cloud metadata service"),
        # Globally routable, but inside Azure it is the host's agent.
        ("168.63.129.16/32", "the Azure platform address"),
        ("0.0.0.0/32", "the unspecified address (RFC 1122)"),
        ("0.0.0.0/8", "a 'this host' address (RFC 1122)"),
        ("10.0.0.0/8", "a private address (RFC 1918)"),
        ("100.64.0.0/10", "a carrier-grade NAT address (RFC 6598)"),
        ("127.0.0.0/8", "a loopback address (RFC 1122)"),
        ("169.254.0.0/16", "a link-local address (RFC 3927)"),
        ("172.16.0.0/12", "a private address (RFC 1918)"),
        ("192.0.0.0/24", "reserved for IETF protocols (RFC 6890)"),
        ("192.0.2.0/24", "a documentation address (RFC 5737)"),
        ("192.88.99.0/24", "a 6to4 relay address (RFC 7526)"),
        ("192.168.0.0/16", "a private address (RFC 1918)"),
        ("198.18.0.0/15", "a benchmarking address (RFC 2544)"),
        ("198.51.100.0/24", "a documentation address (RFC 5737)"),
        ("203.0.113.0/24", "a documentation address (RFC 5737)"),
        ("224.0.0.0/4", "a multicast address (RFC 5771)"),
        ("255.255.255.255/32", "the broadcast address (RFC 919)"),
        ("240.0.0.0/4", "a reserved address (RFC 1112)"),
    )
)

REFUSED_IPV6: tuple[tuple[IPv6Network, str], ...] = tuple(
    (IPv6Network(network), reason)
    for network, reason in (
        ("fd00:ec2::254/128", "the Amazon EC2 metadata service"),
        ("fd00:ec2::23/128", "the Amazon EKS credentials endpoint"),
        ("fd20:ce::254/128", "the Google Cloud metadata service"),
        ("::/128", "the unspecified address (RFC 4291)"),
        ("::1/128", "the loopback address (RFC 4291)"),
        ("::/96", "an IPv4-compatible address (RFC 4291)"),
        ("::ffff:0:0:0/96", "an IPv4-translated address (RFC 2765)"),
        ("64:ff9b::/96", "a NAT64 address (RFC 6052)"),
        ("64:ff9b:1::/48", "a local-use NAT64 address (RFC 8215)"),
        ("100::/64", "a discard-only address (RFC 6666)"),
        ("100:0:0:1::/64", "a dummy prefix (RFC 9780)"),
        ("2001::/32", "a Teredo address (RFC 4380)"),
        ("2001:2::/48", "a benchmarking address (RFC 5180)"),
        ("2001:10::/28", "an ORCHID identifier (RFC 4843)"),
        ("2001:20::/28", "an ORCHIDv2 identifier (RFC 7343)"),
        ("2001:30::/28", "a drone's remote identifier (RFC 9374)"),
        ("2001::/23", "reserved for IETF protocols (RFC 2928)"),
        ("2001:db8::/32", "a documentation address (RFC 3849)"),
        ("2002::/16", "a 6to4 address (RFC 3056)"),
        ("3ffe::/16", "an address of the former 6bone (RFC 3701)"),
        ("3fff::/20", "a documentation address (RFC 9637)"),
        ("5f00::/16", "a segment routing identifier (RFC 9602)"),
        ("fc00::/7", "a unique local address (RFC 4193)"),
        ("fe80::/10", "a link-local address (RFC 4291)"),
        ("fec0::/10", "a site-local address (RFC 3879)"),
        ("ff00::/8", "a multicast address (RFC 4291)"),
    )
)

# The only space that IANA allocates global unicast from; the rest is reserved by the IETF.
GLOBAL_UNICAST_IPV6 = IPv6Network("2000::/3")  # RFC 4291, section 2.4
