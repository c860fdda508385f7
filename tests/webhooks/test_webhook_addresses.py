"""Endpoints cannot reach internal networks that are not allowed, neither by URL nor by DNS."""

import socket
from functools import partial
from ipaddress import ip_network

import pytest

from core.outbound import OutboundClient
from webhooks.dispatch import loop
from webhooks.dispatch.loop import deliver_due
from webhooks.models import Attempt, Delivery, Endpoint

pytestmark = pytest.mark.django_db(transaction=True)

REFUSED = [
    ("https://0.0.0.0/", "unspecified"),
    ("https://0.1.2.3/", "this host"),
    ("https://10.0.0.1/", "private"),
    ("https://172.16.0.1/", "private"),
    ("https://172.31.255.255/", "private"),
    ("https://192.168.1.1:8443/", "private"),
    ("https://100.64.0.1/", "carrier-grade NAT"),
    ("https://100.127.255.255/", "carrier-grade NAT"),
    ("https://127.0.0.1/", "loopback"),
    ("https://127.255.255.254/", "loopback"),
    ("https://169.254.0.1/", "link-local"),
    ("https://169.254.169.254/latest/meta-data/", "metadata"),
    ("https://169.254.170.2/", "credentials"),
    ("https://100.100.100.200/", "metadata"),
    ("https://168.63.129.16/", "Azure"),
    ("https://192.0.0.1/", "IETF protocols"),
    ("https://192.0.2.1/", "documentation"),
    ("https://192.88.99.1/", "6to4 relay"),
    ("https://198.18.0.1/", "benchmarking"),
    ("https://198.51.100.1/", "documentation"),
    ("https://203.0.113.1/", "documentation"),
    ("https://224.0.0.1/", "multicast"),
    ("https://240.0.0.1/", "reserved"),
    ("https://255.255.255.255/", "broadcast"),
    ("https://[::]/", "unspecified"),
    ("https://[::1]/", "loopback"),
    ("https://[0:0:0:0:0:0:0:1]/", "loopback"),
    ("https://[::127.0.0.1]/", "IPv4-compatible"),
    ("https://[::ffff:127.0.0.1]/", "loopback"),
    ("https://[::ffff:7f00:1]/", "loopback"),
    ("https://[::ffff:10.0.0.1]/", "private"),
    ("https://[::ffff:169.254.169.254]/", "metadata"),
    ("https://[::ffff:0:127.0.0.1]/", "IPv4-translated"),
    ("https://[64:ff9b::10.0.0.1]/", "NAT64"),
    ("https://[64:ff9b:1::1]/", "NAT64"),
    ("https://[100::1]/", "discard"),
    ("https://[2001::1]/", "Teredo"),
    ("https://[2001:2::1]/", "benchmarking"),
    ("https://[2001:db8::1]/", "documentation"),
    ("https://[3fff::1]/", "documentation"),
    ("https://[2002:7f00:1::]/", "6to4"),
    ("https://[fc00::1]/", "unique local"),
    ("https://[fd00:ec2::254]/", "metadata"),
    ("https://[fe80::1]/", "link-local"),
    ("https://[febf::1]/", "link-local"),
    ("https://[fe80::1%25eth0]/", "IPv6 address"),
    ("https://[fec0::1]/", "site-local"),
    ("https://[ff02::1]/", "multicast"),
    ("https://[2600::5efe:10.0.0.1]/", "ISATAP"),
    ("https://2130706433/", "four decimal numbers"),
    ("https://017700000001/", "four decimal numbers"),
    ("https://0177.0.0.1/", "four decimal numbers"),
    ("https://0x7f000001/", "four decimal numbers"),
    ("https://0x7f.0.0.1/", "four decimal numbers"),
    ("https://127.1/", "four decimal numbers"),
    ("https://\uff11\uff12\uff17.0.0.1/", "loopback"),
    ("https://127\u30020\u30020\u30021/", "loopback"),
    ("https://localhost/", "loopback"),
    ("https://a.LOCALHOST./", "loopback"),
    ("https://metadata.google.internal/", "private network"),
    ("https://db.svc.cluster.local/", "private network"),
    ("https://intranet/", "private network"),
    ("https://ada:secret@example.com/", "credentials in a header"),
    ("https://example.com@127.0.0.1/", "credentials in a header"),
    ("https://example.com\\@127.0.0.1/", "backslash"),
    ("https://example.com/#top", "fragment"),
    ("https://example.com:22/", "Port 22"),
    ("https://example.com:6379/\r\nFLUSHALL", "percent-encode"),
    ("http://example.com/", "use https://"),
    ("ftp://example.com/", "use https://"),
    ("file:///etc/passwd", "use https://"),
    ("example.com/hook", "https://host/path"),
    ("https://example.com/".ljust(2049, "a"), "2,048"),
]


@pytest.fixture
def production_settings(settings):
    """As in production, where no internal network is allowed."""
    settings.WEBHOOK_ALLOW_HTTP = False
    settings.WEBHOOK_ALLOWED_NETWORKS = []


@pytest.fixture
def allow_networks(settings):
    """Allow only these networks."""

    def only(*networks):
        settings.WEBHOOK_ALLOWED_NETWORKS = [ip_network(network) for network in networks]

    return only


class FakeDns:
    """Resolves every name to the first answer, then to the next ones; the last one stays."""

    def __init__(self, *answers):
        self._answers, self.asked = list(answers), []

    def __call__(self, name):
        self.asked.append(name)
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


@pytest.fixture
def resolve_to(monkeypatch):
    """Make the dispatcher's DNS return these addresses, one list per lookup."""

    def to(*answers):
        names = FakeDns(*answers)
        client = partial(OutboundClient, lookup=names)
        monkeypatch.setattr(loop, "OutboundClient", client)
        return names

    return to


def subscribe(api, url):
    return api.post("/webhooks", {"endpoint": url, "events": ["*"]})


@pytest.mark.django_db(transaction=False)
@pytest.mark.parametrize(("url", "reason"), REFUSED, ids=[url[:40] for url, _ in REFUSED])
def test_a_url_is_refused_with_the_reason(api, production_settings, url, reason):
    answer = subscribe(api, url)
    assert (answer.status_code, answer.json()["name"]) == (422, "validation_error")
    assert reason in answer.json()["details"]["fields"]["endpoint"]
    assert not Endpoint.objects.exists()


def test_the_table_is_complete_and_has_no_duplicates():
    assert len(REFUSED) >= 60
    assert len({url for url, _ in REFUSED}) == len(REFUSED)


def test_an_endpoint_cannot_be_changed_to_an_internal_url(api, production_settings):
    made = subscribe(api, "https://hooks.example.com/").json()["id"]
    answer = api.patch(f"/webhooks/{made}", {"endpoint": "https://10.0.0.1/"})
    assert answer.status_code == 422
    assert "private" in answer.json()["details"]["fields"]["endpoint"]
    assert Endpoint.objects.get().url == "https://hooks.example.com/"


@pytest.mark.parametrize(
    ("addresses", "named"),
    [
        (["127.0.0.1"], "127.0.0.1, which is a loopback address"),
        (["10.0.0.1"], "10.0.0.1, which is a private address"),
        (["93.184.215.14", "127.0.0.1"], "127.0.0.1, which is a loopback address"),
        (["127.0.0.1", "93.184.215.14"], "127.0.0.1, which is a loopback address"),
        (["93.184.215.14", "::ffff:127.0.0.1"], "which is a loopback address"),
        (["169.254.169.254"], "a cloud metadata service"),
        (["64:ff9b::7f00:1"], "a NAT64 address"),
        (["fe80::1"], "a link-local address"),
    ],
)
def test_a_name_that_resolves_to_an_internal_address_is_not_called_and_retried(
    sink, endpoint_at, publish_events, allow_networks, resolve_to, addresses, named
):
    allow_networks()
    resolve_to(addresses)
    endpoint_at(sink.url(host="hooks.example.com"))
    publish_events()
    assert deliver_due().claimed == 1

    assert sink.received == []
    attempt = Attempt.objects.get()
    assert (attempt.status_code, attempt.error, attempt.address) == (None, "unsafe_address", "")
    assert attempt.message.startswith("hooks.example.com resolves to ")
    assert named in attempt.message
    delivery = Delivery.objects.get()
    assert (delivery.status, delivery.attempts) == ("pending", 1)
    assert delivery.next_attempt_at is not None


def test_a_literal_address_is_checked_again_before_the_request(
    sink, endpoint_at, publish_events, allow_networks
):
    endpoint_at(sink.url())
    allow_networks("10.0.0.0/8")  # loopback was allowed when the endpoint was created
    publish_events()
    deliver_due()
    assert sink.received == []
    attempt = Attempt.objects.get()
    assert (attempt.error, attempt.address) == ("unsafe_address", "")
    assert "127.0.0.1 is a loopback address" in attempt.message


def test_dns_rebinding_after_the_check_has_no_effect(
    sink, endpoint_at, publish_events, make_due, allow_networks, resolve_to
):
    allow_networks("127.0.0.1/32")
    names = resolve_to(["127.0.0.1"], ["127.0.0.2"])
    endpoint_at(sink.url(host="hooks.example.com"))
    with socket.create_server(("127.0.0.2", sink.port)) as inside:
        inside.setblocking(False)
        publish_events()
        deliver_due()
        assert (len(sink.received), len(names.asked)) == (1, 1)
        assert Attempt.objects.get().address == "127.0.0.1"
        assert sink.received[0].header("Host") == f"hooks.example.com:{sink.port}"

        publish_events()  # the name resolves to another address now
        deliver_due()
        assert Attempt.objects.get(delivery__status="pending").error == "unsafe_address"
        with pytest.raises(BlockingIOError):
            inside.accept()
    assert len(sink.received) == 1


def test_an_allowed_network_can_be_called(api, sink, publish_events, allow_networks, resolve_to):
    allow_networks("127.0.0.0/30")
    resolve_to(["127.0.0.1"])
    for host in ("127.0.0.1", "hooks.example.com", "hooks"):
        assert subscribe(api, sink.url(host=host)).status_code == 201
    publish_events()
    deliver_due()
    assert len(sink.received) == 3
    assert set(Attempt.objects.values_list("error", "address")) == {("", "127.0.0.1")}


def test_addresses_next_to_an_allowed_network_stay_blocked(
    api, sink, endpoint_at, publish_events, allow_networks, resolve_to
):
    allow_networks("127.0.0.0/30")
    for url in ("http://127.0.0.4/", "http://10.0.0.1/", "http://[::1]/"):
        assert subscribe(api, url).status_code == 422, url
    resolve_to(["127.0.0.4"])
    endpoint_at(sink.url(host="hooks.example.com"))
    publish_events()
    deliver_due()
    assert Attempt.objects.get().error == "unsafe_address"
