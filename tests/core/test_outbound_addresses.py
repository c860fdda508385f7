"""The IP addresses that customers may make us connect to."""

from ipaddress import IPv4Network, IPv6Network, ip_address

import pytest

from core.outbound import OutboundPolicy, is_public, why_unsafe
from core.outbound.networks import REFUSED_IPV4, REFUSED_IPV6

STRICT = OutboundPolicy()

UNSAFE = [
    ("0.0.0.0", "unspecified"),
    ("0.1.2.3", "this host"),
    ("10.0.0.0", "private"),
    ("10.255.255.255", "private"),
    ("100.64.0.1", "carrier-grade NAT"),
    ("100.127.255.255", "carrier-grade NAT"),
    ("100.100.100.200", "metadata"),
    ("127.0.0.1", "loopback"),
    ("127.255.255.254", "loopback"),
    ("168.63.129.16", "Azure"),
    ("169.254.0.1", "link-local"),
    ("169.254.169.254", "metadata"),
    ("169.254.170.2", "credentials"),
    ("169.254.170.23", "credentials"),
    ("172.16.0.1", "private"),
    ("172.31.255.255", "private"),
    ("192.0.0.1", "IETF protocols"),
    ("192.0.0.192", "metadata"),
    ("192.0.2.55", "documentation"),
    ("192.88.99.1", "6to4 relay"),
    ("192.168.1.1", "private"),
    ("198.18.0.1", "benchmarking"),
    ("198.19.255.255", "benchmarking"),
    ("198.51.100.7", "documentation"),
    ("203.0.113.7", "documentation"),
    ("224.0.0.1", "multicast"),
    ("233.252.0.1", "multicast"),
    ("239.255.255.255", "multicast"),
    ("240.0.0.1", "reserved"),
    ("255.255.255.255", "broadcast"),
    ("::", "unspecified"),
    ("::1", "loopback"),
    ("::7f00:1", "IPv4-compatible"),
    ("::8.8.8.8", "IPv4-compatible"),
    ("::ffff:127.0.0.1", "loopback"),
    ("::ffff:a9fe:a9fe", "metadata"),
    ("::ffff:10.0.0.1", "private"),
    ("::ffff:0:127.0.0.1", "IPv4-translated"),
    ("64:ff9b::7f00:1", "NAT64"),
    ("64:ff9b::8.8.8.8", "NAT64"),
    ("64:ff9b:1::1", "NAT64"),
    ("64:ff9b:1:ffff::10.0.0.1", "NAT64"),
    ("100::1", "discard"),
    ("100:0:0:1::1", "dummy"),
    ("200::1", "outside the global unicast"),
    ("2001::1", "Teredo"),
    ("2001:0:7f00:1::", "Teredo"),
    ("2001:2::1", "benchmarking"),
    ("2001:10::1", "ORCHID"),
    ("2001:1f:ffff::1", "ORCHID"),
    ("2001:20::1", "ORCHIDv2"),
    ("2001:30::1", "drone"),
    ("2001:1::1", "IETF protocols"),
    ("2001:1ff::1", "IETF protocols"),
    ("2001:db8::1", "documentation"),
    ("2002:7f00:1::", "6to4"),
    ("2002:0a00:0001::1", "6to4"),
    ("3ffe::1", "6bone"),
    ("3fff:fff::1", "documentation"),
    ("4000::1", "outside the global unicast"),
    ("5f00::1", "segment routing"),
    ("fc00::1", "unique local"),
    ("fdff:ffff::1", "unique local"),
    ("fd00:ec2::254", "metadata"),
    ("fd00:ec2::23", "credentials"),
    ("fd20:ce::254", "metadata"),
    ("fe80::1", "link-local"),
    ("fe80::1%eth0", "link-local"),
    ("febf:ffff::1", "link-local"),
    ("fec0::1", "site-local"),
    ("feff::1", "site-local"),
    ("ff02::1", "multicast"),
    ("ff0e::1", "multicast"),
    ("2600:1f18::5efe:10.0.0.1", "ISATAP"),
    ("2600:1f18::200:5efe:127.0.0.1", "ISATAP"),
    ("2600:1f18::300:5efe:8.8.8.8", "ISATAP"),
    ("not an address", "not an IP address"),
    ("127.1", "not an IP address"),
    ("", "not an IP address"),
]

PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "52.94.236.248",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.1",
    "168.63.129.17",
    "169.253.255.255",
    "169.255.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "192.0.1.0",
    "192.167.255.255",
    "192.169.0.0",
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.255",
    "::ffff:8.8.8.8",
    "2001:200::1",
    "2001:4860:4860::8888",
    "2003::1",
    "2600:1f18::1",
    "2606:4700:4700::1111",
    "2a00:1450:4001::1",
    "3ffd:ffff::1",
]


@pytest.mark.parametrize(("address", "reason"), UNSAFE)
def test_an_address_in_a_reserved_network_is_refused_with_its_reason(address, reason):
    assert reason in (why_unsafe(address, STRICT) or "")
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_addresses_next_to_reserved_networks_are_public(address):
    assert why_unsafe(address, STRICT) is None
    assert is_public(ip_address(address))


@pytest.mark.parametrize("network", [n for n, _ in REFUSED_IPV4 + REFUSED_IPV6], ids=str)
def test_first_and_last_address_of_each_reserved_network_are_refused(network):
    assert not is_public(network[0])
    assert not is_public(network[-1])


@pytest.mark.parametrize("network", [n for n, _ in REFUSED_IPV4], ids=str)
def test_ipv4_networks_are_refused_as_mapped_ipv6_too(network):
    assert not is_public(f"::ffff:{network[0]}")
    assert not is_public(f"::ffff:{network[-1]}")


@pytest.mark.parametrize(
    ("allowed", "address"),
    [
        ("10.1.0.0/16", "10.1.2.3"),
        ("10.1.0.0/16", "::ffff:10.1.2.3"),
        ("::ffff:10.1.0.0/112", "::ffff:10.1.2.3"),
        ("169.254.169.254/32", "169.254.169.254"),
        ("fd00:1::/32", "fd00:1::5"),
        ("::1/128", "::1"),
    ],
)
def test_an_allowed_network_is_not_refused(allowed, address):
    policy = OutboundPolicy.allowing([allowed])

    assert why_unsafe(address, policy) is None
    assert not is_public(address)


@pytest.mark.parametrize("address", ["10.2.0.1", "127.0.0.1", "fd00:2::1", "::a01:203"])
def test_allowing_a_network_allows_nothing_else(address):
    policy = OutboundPolicy.allowing(["10.1.0.0/16", "fd00:1::/32"])

    assert why_unsafe(address, policy)


def test_a_policy_parses_networks_from_text():
    policy = OutboundPolicy.allowing(["10.1.0.0/16", " fd00::/8"], allow_http=True)

    assert policy.allowed_networks == (IPv4Network("10.1.0.0/16"), IPv6Network("fd00::/8"))
    assert policy.allow_http
    with pytest.raises(ValueError, match="has host bits set"):
        OutboundPolicy.allowing(["10.1.2.3/16"])
