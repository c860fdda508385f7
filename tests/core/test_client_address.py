"""Limits by address can't be escaped by headers or by IPv6 addresses."""

import pytest
from django.test import RequestFactory

from core.api.client_address import client_network


def network(peer, forwarded=None):
    headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
    return client_network(RequestFactory(headers=headers).get("/", REMOTE_ADDR=peer))


@pytest.mark.parametrize(
    ("peer", "expected"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:aaaa::1", "2001:db8:1:2::"),
        ("2001:db8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:2::"),
        ("2001:db8:1:3::1", "2001:db8:1:3::"),
        ("fe80::1%eth0", "fe80::"),
        ("", None),
        ("unix:", None),
    ],
)
def test_the_peer_is_an_address_or_a_64(peer, expected):
    assert network(peer) == expected


@pytest.mark.parametrize("peer", ["192.0.2.1", "10.0.0.1", "127.0.0.1"])
def test_without_a_declared_proxy_the_header_is_ignored(peer):
    assert network(peer, forwarded="198.51.100.7") == peer


@pytest.mark.parametrize(
    ("forwarded", "expected"),
    [
        ("198.51.100.7", "198.51.100.7"),
        ("203.0.113.66, 198.51.100.7", "198.51.100.7"),
        ("nonsense,198.51.100.7:4711", "198.51.100.7"),
        ("[2001:db8:1:2::9]:4711", "2001:db8:1:2::"),
        ("2001:db8:1:2::9", "2001:db8:1:2::"),
        ("198.51.100.7, nonsense", "10.0.0.1"),
        ("", "10.0.0.1"),
        (None, "10.0.0.1"),
    ],
)
def test_behind_a_proxy_it_is_the_address_that_the_proxy_appended(settings, forwarded, expected):
    settings.BEHIND_TLS_PROXY = True
    assert network("10.0.0.1", forwarded) == expected
