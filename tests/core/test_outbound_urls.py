"""The URLs that customers may register, and the messages for those that are refused."""

from ipaddress import ip_address

import pytest
from yarl import URL

from core.outbound import OutboundPolicy, UnsafeUrl, check_url

STRICT = OutboundPolicy()
WITH_HTTP = OutboundPolicy(allow_http=True)
LOOPBACK = OutboundPolicy.allowing(["127.0.0.0/8", "::1/128"], allow_http=True)
INTERNAL = OutboundPolicy.allowing(["10.0.0.0/8"])

GOOD = [
    ("https://example.com", "https://example.com/"),
    ("https://example.com/hook?a=1&b=%2F", "https://example.com/hook?a=1&b=%2F"),
    ("https://example.com?a=1", "https://example.com/?a=1"),
    ("HTTPS://EXAMPLE.com/Hook", "https://example.com/Hook"),
    ("https://example.com:443/", "https://example.com/"),
    ("https://example.com:/", "https://example.com/"),
    ("https://example.com:80/", "https://example.com:80/"),
    ("https://example.com:1024/", "https://example.com:1024/"),
    ("https://example.com:65535/", "https://example.com:65535/"),
    ("https://example.com./a", "https://example.com/a"),
    ("https://a_b.example.com/", "https://a_b.example.com/"),
    ("https://bücher.example/größe", "https://xn--bcher-kva.example/gr%C3%B6%C3%9Fe"),
    ("https://xn--bcher-kva.example/", "https://xn--bcher-kva.example/"),
    ("https://example.com/a/../b/%7Ec//d", "https://example.com/a/../b/%7Ec//d"),
    ('https://example.com/"<x>|^`{}', "https://example.com/%22%3Cx%3E%7C%5E%60%7B%7D"),
    ("https://8.8.8.8/", "https://8.8.8.8/"),
    ("https://8.8.8.8./", "https://8.8.8.8/"),
    ("https://[2001:4860:4860:0::8888]:8443/x", "https://[2001:4860:4860::8888]:8443/x"),
    ("https://1.2.3.4.example.com/", "https://1.2.3.4.example.com/"),
    ("https://0xcafe.example.com/", "https://0xcafe.example.com/"),
    ("https://hooks.example.test/", "https://hooks.example.test/"),
    ("https://" + "a" * 63 + ".example.com/", "https://" + "a" * 63 + ".example.com/"),
]

REFUSED = [
    ("http://example.com/", "use https://"),
    ("ftp://example.com/", "use https://"),
    ("gopher://example.com/", "use https://"),
    ("file:///etc/passwd", "use https://"),
    ("javascript:alert(1)", "not an absolute URL"),
    ("//example.com/", "not an absolute URL"),
    ("example.com/hook", "not an absolute URL"),
    ("https:example.com", "not an absolute URL"),
    ("https:/example.com", "not an absolute URL"),
    ("", "not an absolute URL"),
    ("https://", "no host"),
    ("https:///path", "no host"),
    ("https://:443/", "no host"),
    ("https://?a=1", "no host"),
    ("https://user@example.com/", "user name"),
    ("https://user:pass@example.com/", "user name"),
    ("https://example.com@127.0.0.1/", "user name"),
    ("https://example.com#@127.0.0.1/", "fragment|host"),
    ("https://example.com/#top", "fragment"),
    ("https://example.com/a b", "white space"),
    (" https://example.com/", "white space"),
    ("https://example.com/\r\nX: y", "white space"),
    ("https://exa\tmple.com/", "white space"),
    ("https://example.com/\x00", "white space"),
    ("https://example.com/\x7f", "white space"),
    ("https://example.com/\u2028", "white space"),
    ("https://example.com\u3000/", "white space"),
    ("https://example.com\\@127.0.0.1/", "backslash"),
    ("https://example.com:0/", "Port 0"),
    ("https://example.com:22/", "Port 22"),
    ("https://example.com:25/", "Port 25"),
    ("https://example.com:1023/", "Port 1023"),
    ("https://example.com:65536/", "Port 65536"),
    ("https://example.com:999999/", "out of range"),
    ("https://example.com:8o/", "malformed"),
    ("https://example.com:80:80/", "malformed"),
    ("https://[::1/", "malformed"),
    ("https://::1/", "malformed"),
    ("https://[example.com]/", "not an IPv6 address"),
    ("https://[fe80::1%25eth0]/", "not an IPv6|zone"),
    ("https://[2600::1%eth0]/", "zone"),
    ("https://exa%6dple.com/", "not a valid host"),
    ("https://127.0.0.1%2eexample.com/", "not a valid host"),
    ("https://exam!ple.com/", "not a valid host"),
    ("https://-a.example.com/", "not a valid host"),
    ("https://a..example.com/", "not a valid host"),
    ("https://example.com../", "not a valid host"),
    ("https://.example.com/", "not a valid host"),
    ("https://" + "a" * 64 + ".com/", "not a valid host"),
    ("https://" + "a." * 127 + "com/", "not a valid host"),
    ("https://exam℀ple.com/", "not a valid international"),
    ("https://example.com/" + "a" * 2029, "longer than 2048"),
]

UNSAFE_HOSTS = [
    ("https://127.0.0.1/", "loopback"),
    ("https://127.0.0.1./", "loopback"),
    ("https://\uff11\uff12\uff17.0.0.1/", "loopback"),
    ("https://127。0。0。1/", "loopback"),
    ("https://10.0.0.1:8443/", "private"),
    ("https://169.254.169.254/latest/meta-data/", "metadata"),
    ("https://0.0.0.0/", "unspecified"),
    ("https://[::1]/", "loopback"),
    ("https://[::]/", "unspecified"),
    ("https://[0:0:0:0:0:0:0:1]/", "loopback"),
    ("https://[::ffff:127.0.0.1]/", "loopback"),
    ("https://[::ffff:7f00:1]/", "loopback"),
    ("https://[64:ff9b::127.0.0.1]/", "NAT64"),
    ("https://[fd00:ec2::254]/", "metadata"),
    ("https://localhost/", "loopback"),
    ("https://LOCALHOST./", "loopback"),
    ("https://a.localhost/", "loopback"),
    ("https://localhost.localdomain/", "loopback"),
    ("https://intranet/", "private network"),
    ("https://metadata/", "private network"),
    ("https://metadata.google.internal/", "private network"),
    ("https://db.svc.cluster.local/", "private network"),
    ("https://printer.home.arpa/", "private network"),
]

NUMERIC = [
    "2130706433",
    "017700000001",
    "0177.0.0.1",
    "0x7f000001",
    "0x7f.1",
    "0x7f.0.0.0x1",
    "0X7F.0.0.1",
    "127.1",
    "127.0.1",
    "0",
    "0x",
    "1.2.3.256",
    "1.2.3.4.5",
    "010.8.8.8",
    "127.0.0.1.0x1",
    "example.1",
    "2130706433.",
]


@pytest.mark.parametrize(("url", "normalised"), GOOD)
def test_a_good_url_is_normalised(url, normalised):
    assert check_url(url, STRICT).url == normalised


@pytest.mark.parametrize("url", [url for url, _ in GOOD])
def test_the_http_client_parses_the_same_host_port_and_path(url):
    parsed = check_url(url, STRICT)
    target = URL(parsed.url, encoded=True)

    assert (target.scheme, target.raw_host, target.port) == (
        parsed.scheme,
        parsed.host,
        parsed.port,
    )
    assert parsed.url.endswith(target.raw_path_qs)
    assert check_url(parsed.url, STRICT) == parsed


@pytest.mark.parametrize(("url", "reason"), REFUSED)
def test_a_malformed_or_disallowed_url_is_refused_with_the_reason(url, reason):
    with pytest.raises(UnsafeUrl, match=reason) as refusal:
        check_url(url, STRICT)

    assert refusal.value.code == "invalid_url"


@pytest.mark.parametrize(("url", "reason"), UNSAFE_HOSTS)
def test_a_host_in_a_reserved_network_is_refused_with_the_reason(url, reason):
    with pytest.raises(UnsafeUrl, match=reason) as refusal:
        check_url(url, STRICT)

    assert refusal.value.code == "unsafe_address"


@pytest.mark.parametrize("host", NUMERIC)
@pytest.mark.parametrize("policy", [STRICT, LOOPBACK], ids=["strict", "loopback allowed"])
def test_other_ipv4_notations_are_always_refused(host, policy):
    with pytest.raises(UnsafeUrl, match="four decimal numbers"):
        check_url(f"https://{host}/", policy)


def test_a_url_may_have_2048_characters():
    url = "https://example.com/".ljust(2048, "a")

    assert check_url(url, STRICT).url == url
    with pytest.raises(UnsafeUrl):
        check_url(url + "a", STRICT)


def test_http_needs_a_policy_that_allows_it():
    parsed = check_url("http://example.com/hook", WITH_HTTP)

    assert (parsed.scheme, parsed.port, parsed.address) == ("http", 80, None)
    with pytest.raises(UnsafeUrl, match="use https:// or http://"):
        check_url("ftp://example.com/", WITH_HTTP)


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost", "a.localhost", "api"])
def test_hosts_in_allowed_networks_may_be_used(host):
    assert check_url(f"http://{host}:8000/", LOOPBACK).port == 8000


def test_an_allowed_network_allows_neither_localhost_nor_low_ports():
    assert check_url("https://billing.internal/", INTERNAL).address is None
    assert check_url("https://10.1.2.3/", INTERNAL).address == ip_address("10.1.2.3")
    with pytest.raises(UnsafeUrl, match="loopback"):
        check_url("https://localhost/", INTERNAL)
    with pytest.raises(UnsafeUrl, match="Port 25"):
        check_url("https://10.1.2.3:25/", INTERNAL)
