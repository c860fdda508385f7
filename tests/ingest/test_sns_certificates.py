"""The certificate store: a real HTTP server, good and bad responses, and both caches."""

import base64
import gzip
import inspect
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from ingest.sns import CertificateStore, CertificateUrl, Rejected
from tests.clients import wait_until
from tests.ingest.sns_server import drip, running_server, send
from tests.ingest.sns_signer import NOW, certificate, key

PEM = certificate()


def url(number=0, region="us-east-1"):
    path = f"/SimpleNotificationService-{number:032x}.pem"
    return CertificateUrl(url=f"https://sns.{region}.amazonaws.com{path}", path=path, region=region)


@pytest.fixture
def server():
    with running_server() as server:
        server.responses[url().path] = PEM
        yield server


def get_key(store, server, certificate_url=None, *, now=NOW):
    return store.public_key(certificate_url or url(), origin=server.origin, now=now)


def rejection(store, server, certificate_url=None, *, now=NOW):
    with pytest.raises(Rejected) as caught:
        get_key(store, server, certificate_url, now=now)
    assert (caught.value.status, caught.value.name) == (503, "certificate_unavailable")
    return caught.value.message


class Shared:
    """A shared cache, like Redis."""

    def __init__(self, **content):
        self.content = content
        self.ttls = set()

    def get(self, key):
        return self.content.get(key)

    def set(self, key, value, ttl):
        self.content[key] = value
        self.ttls.add(ttl)


def test_a_certificate_is_fetched_once_and_cached(server):
    store = CertificateStore()

    first, second = get_key(store, server), get_key(store, server)

    assert first.public_numbers() == key().public_key().public_numbers()
    assert second is first
    assert server.requests == {url().path: 1}


def test_an_expired_entry_is_fetched_again(server):
    store = CertificateStore(ttl=timedelta(0))

    get_key(store, server)
    get_key(store, server)

    assert server.requests[url().path] == 2


def test_the_cache_is_bounded_and_evicts_the_least_recently_used(server):
    store = CertificateStore(max_entries=2)
    server.responses |= {url(n).path: PEM for n in range(3)}

    for number in (0, 1, 0, 2, 0, 1):
        get_key(store, server, url(number))

    assert server.requests == {url(0).path: 1, url(1).path: 2, url(2).path: 1}


@pytest.mark.parametrize(
    "options",
    [
        {"common_name": "sns.amazonaws.com"},
        {"common_name": "x", "alternative": "sns.amazonaws.com"},
        {"common_name": "sns-signing.us-east-1.amazonaws.com"},
        {"since": NOW},
        {"until": NOW},
    ],
    ids=str,
)
def test_certificates_of_sns_are_trusted(server, options):
    server.responses[url().path] = certificate(**options)

    assert get_key(CertificateStore(), server).key_size == 2048


@pytest.mark.parametrize(
    ("region", "name"),
    [
        ("cn-north-1", "sns-cn-north-1.amazonaws.com.cn"),
        ("us-gov-east-1", "sns-us-gov-west-1.amazonaws.com"),
        ("af-south-1", "sns-signing.af-south-1.amazonaws.com"),
    ],
)
def test_a_regional_name_is_only_trusted_in_its_region(server, region, name):
    server.responses[url().path] = certificate(common_name=name)

    assert get_key(CertificateStore(), server, url(region=region)).key_size == 2048
    assert "not issued to SNS" in rejection(CertificateStore(), server, url(region="eu-west-1"))


@pytest.mark.parametrize(
    "name",
    [
        "evil.example",
        "sns.amazonaws.com.evil.example",
        "xsns.amazonaws.com",
        "*.amazonaws.com",
        "s3.amazonaws.com",
        "sns.amazonaws.com\x00.evil.example",
    ],
)
def test_a_certificate_for_another_name_is_rejected(server, name):
    server.responses[url().path] = certificate(common_name=name)

    assert "not issued to SNS" in rejection(CertificateStore(), server)


@pytest.mark.parametrize(
    ("private_key", "reason"),
    [
        (lambda: key(1024), "2048 bits"),
        (lambda: ec.generate_private_key(ec.SECP256R1()), "2048 bits"),
    ],
    ids=["rsa-1024", "p-256"],
)
def test_a_weak_or_non_rsa_key_is_rejected(server, private_key, reason):
    server.responses[url().path] = certificate(private_key=private_key())

    assert reason in rejection(CertificateStore(), server)


DAY = timedelta(days=1)


@pytest.mark.parametrize(
    "options",
    [
        {"until": NOW - timedelta(seconds=1)},
        {"since": NOW + timedelta(seconds=1)},
        {"since": NOW - 9 * DAY, "until": NOW - 2 * DAY},
    ],
)
def test_a_certificate_outside_its_validity_is_rejected(server, options):
    server.responses[url().path] = certificate(**options)

    assert "dates" in rejection(CertificateStore(), server)


def test_a_cached_certificate_is_rejected_once_it_expires(server):
    store = CertificateStore(ttl=365 * DAY)
    server.responses[url().path] = certificate(until=NOW + DAY)

    get_key(store, server)
    assert "dates" in rejection(store, server, now=NOW + 2 * DAY)
    server.responses[url().path] = certificate(until=NOW + 9 * DAY)

    assert get_key(store, server, now=NOW + 2 * DAY).key_size == 2048


def block(content):
    return b"-----BEGIN CERTIFICATE-----\n%b\n-----END CERTIFICATE-----\n" % content


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"hello",
        PEM + PEM,
        PEM + b"\n" + certificate(),
        b"<html>" + PEM + b"</html>",
        b"<xml><value>\n" + PEM + b"\n</value></xml>",
        b"note\n" + PEM,
        PEM + b"note",
        PEM + b"\x00",
        b"\xef\xbb\xbf" + PEM,
        PEM.replace(b"BEGIN CERTIFICATE", b"BEGIN PUBLIC KEY"),
        PEM.replace(b"-----END CERTIFICATE-----", b""),
        PEM[:200] + b"<b>" + PEM[200:],
        gzip.compress(PEM, mtime=0),
        block(b""),
        block(b"AAAA"),
        block(b"!!!!"),
        block(base64.b64encode(b"\x30\x82\xff\xff" + b"\x00" * 200)),
    ],
    ids=lambda content: repr(content[:9]),
)
def test_anything_but_exactly_one_pem_certificate_is_rejected(server, content):
    server.responses[url().path] = lambda handler: send(handler, content)

    assert "not " in rejection(CertificateStore(), server)


def test_a_compressed_response_is_not_decompressed(server):
    server.responses[url().path] = lambda handler: send(
        handler, gzip.compress(PEM), Content_Encoding="gzip"
    )

    assert "PEM" in rejection(CertificateStore(), server)


def test_white_space_around_the_certificate_is_allowed(server):
    server.responses[url().path] = b"\r\n \t" + PEM.replace(b"\n", b"\r\n") + b"\n\n"

    assert get_key(CertificateStore(), server).key_size == 2048


@pytest.mark.parametrize("status", [201, 204, 206, 304, 400, 403, 404, 500, 503])
def test_only_a_200_is_accepted(server, status):
    content = b"" if status in (204, 304) else PEM
    server.responses[url().path] = lambda handler: send(handler, content, status=status)

    assert str(status) in rejection(CertificateStore(), server)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(server, status):
    server.responses["/elsewhere"] = PEM
    server.responses[url().path] = lambda handler: send(
        handler, PEM, status=status, Location=f"{server.origin}/elsewhere"
    )

    assert str(status) in rejection(CertificateStore(), server)
    assert server.requests == {url().path: 1}


def test_the_body_is_limited_to_20_kib(server):
    server.responses[url().path] = PEM + b"\n" * (20 * 1024 - len(PEM))
    server.responses[url(1).path] = PEM + b"\n" * (20 * 1024 - len(PEM) + 1)

    assert get_key(CertificateStore(), server).key_size == 2048
    assert "more than 20480 bytes" in rejection(CertificateStore(), server, url(1))


def test_an_endless_body_is_aborted(server):
    def flood(handler):
        handler.send_response(200)
        handler.end_headers()
        while not handler.server.closing.is_set():
            handler.wfile.write(b"\n" * 4096)

    server.responses[url().path] = flood

    assert "more than 20480 bytes" in rejection(CertificateStore(), server)


def drip_body(handler):
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(PEM)))
    handler.send_header("Connection", "close")
    handler.end_headers()
    drip(handler, PEM)


def drip_headers(handler):
    drip(handler, b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 2000)


def never_respond(handler):
    handler.server.closing.wait()


@pytest.mark.parametrize("slow", [drip_body, drip_headers, never_respond])
def test_a_slow_server_is_aborted_after_the_timeout(server, slow):
    server.responses[url().path] = slow
    store = CertificateStore(fetch_timeout=timedelta(seconds=0.4))

    started = time.monotonic()
    rejection(store, server)

    assert time.monotonic() - started < 1
    wait_until_idle()
    server.responses[url().path] = PEM
    assert get_key(store, server).key_size == 2048


def test_the_default_timeout_is_five_seconds():
    timeout = inspect.signature(CertificateStore).parameters["fetch_timeout"]

    assert timeout.default == timedelta(seconds=5)


def test_a_refused_connection_is_a_503():
    with running_server() as server:
        origin = server.origin
    with pytest.raises(Rejected) as caught:
        CertificateStore().public_key(url(), origin=origin, now=NOW)
    assert caught.value.status == 503


def test_proxies_and_credentials_of_the_environment_are_not_used(server, monkeypatch, tmp_path):
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login a password b")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "")

    assert get_key(CertificateStore(), server).key_size == 2048
    assert "Authorization" not in server.headers[0]


def test_failures_are_not_cached(server):
    shared = Shared()
    store = CertificateStore(shared)
    server.responses[url().path] = b"broken"

    rejection(store, server)
    server.responses[url().path] = PEM

    assert get_key(store, server).key_size == 2048
    assert list(shared.content.values()) == [PEM]


def test_concurrent_requests_share_one_fetch(server):
    release = threading.Event()
    server.responses[url().path] = lambda handler: (release.wait(3), send(handler, PEM))
    store = CertificateStore()

    with ThreadPoolExecutor(12) as pool:
        futures = [pool.submit(get_key, store, server) for _ in range(12)]
        time.sleep(0.1)
        release.set()
        keys = {id(future.result()) for future in futures}

    assert len(keys) == 1
    assert server.requests[url().path] == 1


def test_concurrent_requests_share_one_failure_and_one_timeout(server):
    server.responses[url().path] = never_respond
    store = CertificateStore(fetch_timeout=timedelta(seconds=0.4))

    started = time.monotonic()
    with ThreadPoolExecutor(12) as pool:
        failures = [pool.submit(rejection, store, server) for _ in range(12)]
        assert all(future.result() for future in failures)

    assert time.monotonic() - started < 1
    assert server.requests[url().path] == 1


def test_the_number_of_concurrent_fetches_is_limited(server):
    for number in range(1, 4):
        server.responses[url(number).path] = never_respond
    store = CertificateStore(max_fetches=2, fetch_timeout=timedelta(seconds=0.4))

    with ThreadPoolExecutor(2) as pool:
        futures = [pool.submit(rejection, store, server, url(n)) for n in (1, 2)]
        time.sleep(0.1)
        started = time.monotonic()
        assert "too many" in rejection(store, server, url(3))
        assert time.monotonic() - started < 0.1
        assert all(future.result() for future in futures)

    wait_until_idle()
    assert get_key(store, server).key_size == 2048


def shared_key(server):
    return f"sns-certificate:{server.origin}{url().path}"


def test_the_shared_cache_is_read_before_the_network(server):
    shared = Shared(**{shared_key(server): PEM})

    assert get_key(CertificateStore(shared), server).key_size == 2048
    assert not server.requests


def test_processes_share_fetched_certificates(server):
    shared = Shared()

    get_key(CertificateStore(shared, ttl=timedelta(hours=3)), server)
    get_key(CertificateStore(shared), server)

    assert server.requests[url().path] == 1
    assert shared.content == {shared_key(server): PEM}
    assert shared.ttls == {timedelta(hours=3)}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"junk",
        PEM + PEM,
        certificate(common_name="evil.example"),
        certificate(until=NOW - DAY),
        certificate(private_key=key(1024)),
        PEM + b"\n" * 20480,
        PEM.decode(),
    ],
    ids=lambda content: str(len(content)),
)
def test_certificates_from_the_shared_cache_are_verified(server, content):
    shared = Shared(**{shared_key(server): content})

    assert get_key(CertificateStore(shared), server).key_size == 2048
    assert server.requests[url().path] == 1
    assert shared.content[shared_key(server)] == PEM


def test_a_broken_shared_cache_is_ignored(server):
    class Broken:
        def get(self, key):
            raise ConnectionError

        def set(self, key, value, ttl):
            raise TimeoutError

    assert get_key(CertificateStore(Broken()), server).key_size == 2048


def test_without_an_origin_the_url_itself_is_fetched():
    """Found by its cache key, which contains the URL, so nothing is fetched."""
    shared = Shared(**{f"sns-certificate:{url().url}": PEM})

    assert CertificateStore(shared).public_key(url(), origin=None, now=NOW).key_size == 2048


def wait_until_idle():
    def is_idle():
        return all(thread.name != "sns-certificate" for thread in threading.enumerate())

    wait_until(is_idle, seconds=3, what="the end of all fetches")
