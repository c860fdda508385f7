"""Where the keys come from: one real HTTP server, good and bad, and the two caches."""

import base64
import gzip
import inspect
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from sns_server import drip, running_server, send
from sns_signer import NOW, certificate, key

from ingest.sns import CertificateStore, CertificateUrl, Rejected

PEM = certificate()


def url(number=0, region="us-east-1"):
    path = f"/SimpleNotificationService-{number:032x}.pem"
    return CertificateUrl(url=f"https://sns.{region}.amazonaws.com{path}", path=path, region=region)


@pytest.fixture
def server():
    with running_server() as server:
        server.answers[url().path] = PEM
        yield server


def ask(store, server, wanted=None, *, now=NOW):
    return store.public_key(wanted or url(), origin=server.origin, now=now)


def refusal(store, server, wanted=None, *, now=NOW):
    with pytest.raises(Rejected) as caught:
        ask(store, server, wanted, now=now)
    assert (caught.value.status, caught.value.name) == (503, "certificate_unavailable")
    return caught.value.message


class Shared:
    """What Redis is to the store."""

    def __init__(self, **content):
        self.content = content
        self.lifetimes = set()

    def get(self, key):
        return self.content.get(key)

    def set(self, key, value, ttl):
        self.content[key] = value
        self.lifetimes.add(ttl)


def test_a_certificate_is_fetched_once_and_then_remembered(server):
    store = CertificateStore()

    first, second = ask(store, server), ask(store, server)

    assert first.public_numbers() == key().public_key().public_numbers()
    assert second is first
    assert server.asked == {url().path: 1}


def test_it_is_fetched_again_when_its_time_is_up(server):
    store = CertificateStore(ttl=timedelta(0))

    ask(store, server)
    ask(store, server)

    assert server.asked[url().path] == 2


def test_the_cache_is_bounded_and_forgets_what_was_used_least_recently(server):
    store = CertificateStore(max_entries=2)
    server.answers |= {url(n).path: PEM for n in range(3)}

    for number in (0, 1, 0, 2, 0, 1):
        ask(store, server, url(number))

    assert server.asked == {url(0).path: 1, url(1).path: 2, url(2).path: 1}


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
def test_certificates_of_sns_are_believed(server, options):
    server.answers[url().path] = certificate(**options)

    assert ask(CertificateStore(), server).key_size == 2048


@pytest.mark.parametrize(
    ("region", "name"),
    [
        ("cn-north-1", "sns-cn-north-1.amazonaws.com.cn"),
        ("us-gov-east-1", "sns-us-gov-west-1.amazonaws.com"),
        ("af-south-1", "sns-signing.af-south-1.amazonaws.com"),
    ],
)
def test_a_regional_name_counts_in_its_own_region_only(server, region, name):
    server.answers[url().path] = certificate(common_name=name)

    assert ask(CertificateStore(), server, url(region=region)).key_size == 2048
    assert "not issued to SNS" in refusal(CertificateStore(), server, url(region="eu-west-1"))


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
def test_a_certificate_for_another_name_is_refused(server, name):
    server.answers[url().path] = certificate(common_name=name)

    assert "not issued to SNS" in refusal(CertificateStore(), server)


@pytest.mark.parametrize(
    ("private_key", "reason"),
    [
        (lambda: key(1024), "2048 bits"),
        (lambda: ec.generate_private_key(ec.SECP256R1()), "2048 bits"),
    ],
    ids=["rsa-1024", "p-256"],
)
def test_a_weak_or_foreign_key_is_refused(server, private_key, reason):
    server.answers[url().path] = certificate(private_key=private_key())

    assert reason in refusal(CertificateStore(), server)


DAY = timedelta(days=1)


@pytest.mark.parametrize(
    "options",
    [
        {"until": NOW - timedelta(seconds=1)},
        {"since": NOW + timedelta(seconds=1)},
        {"since": NOW - 9 * DAY, "until": NOW - 2 * DAY},
    ],
)
def test_a_certificate_outside_its_dates_is_refused(server, options):
    server.answers[url().path] = certificate(**options)

    assert "dates" in refusal(CertificateStore(), server)


def test_a_remembered_certificate_is_refused_once_its_dates_are_over(server):
    store = CertificateStore(ttl=365 * DAY)
    server.answers[url().path] = certificate(until=NOW + DAY)

    ask(store, server)
    assert "dates" in refusal(store, server, now=NOW + 2 * DAY)
    server.answers[url().path] = certificate(until=NOW + 9 * DAY)

    assert ask(store, server, now=NOW + 2 * DAY).key_size == 2048


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
        gzip.compress(PEM),
        block(b""),
        block(b"AAAA"),
        block(b"!!!!"),
        block(base64.b64encode(b"\x30\x82\xff\xff" + b"\x00" * 200)),
    ],
    ids=lambda content: repr(content[:12]) + str(len(content)),
)
def test_what_is_not_exactly_one_pem_certificate_is_refused(server, content):
    server.answers[url().path] = lambda handler: send(handler, content)

    assert "not " in refusal(CertificateStore(), server)


def test_a_compressed_answer_is_not_unpacked(server):
    server.answers[url().path] = lambda handler: send(
        handler, gzip.compress(PEM), Content_Encoding="gzip"
    )

    assert "PEM" in refusal(CertificateStore(), server)


def test_white_space_around_the_certificate_is_allowed(server):
    server.answers[url().path] = b"\r\n \t" + PEM.replace(b"\n", b"\r\n") + b"\n\n"

    assert ask(CertificateStore(), server).key_size == 2048


@pytest.mark.parametrize("status", [201, 204, 206, 304, 400, 403, 404, 500, 503])
def test_only_a_200_counts(server, status):
    content = b"" if status in (204, 304) else PEM
    server.answers[url().path] = lambda handler: send(handler, content, status=status)

    assert str(status) in refusal(CertificateStore(), server)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(server, status):
    server.answers["/elsewhere"] = PEM
    server.answers[url().path] = lambda handler: send(
        handler, PEM, status=status, Location=f"{server.origin}/elsewhere"
    )

    assert str(status) in refusal(CertificateStore(), server)
    assert server.asked == {url().path: 1}


def test_20_kib_are_read_and_no_byte_more(server):
    server.answers[url().path] = PEM + b"\n" * (20 * 1024 - len(PEM))
    server.answers[url(1).path] = PEM + b"\n" * (20 * 1024 - len(PEM) + 1)

    assert ask(CertificateStore(), server).key_size == 2048
    assert "more than 20480 bytes" in refusal(CertificateStore(), server, url(1))


def test_a_body_without_end_is_cut(server):
    def flood(handler):
        handler.send_response(200)
        handler.end_headers()
        while not handler.server.closing.is_set():
            handler.wfile.write(b"\n" * 4096)

    server.answers[url().path] = flood

    assert "more than 20480 bytes" in refusal(CertificateStore(), server)


def drip_body(handler):
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(PEM)))
    handler.send_header("Connection", "close")
    handler.end_headers()
    drip(handler, PEM)


def drip_headers(handler):
    drip(handler, b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 2000)


def say_nothing(handler):
    handler.server.closing.wait()


@pytest.mark.parametrize("slow", [drip_body, drip_headers, say_nothing])
def test_a_slow_server_costs_no_more_than_the_timeout(server, slow):
    server.answers[url().path] = slow
    store = CertificateStore(fetch_timeout=timedelta(seconds=0.4))

    started = time.monotonic()
    refusal(store, server)

    assert time.monotonic() - started < 1
    _wait_until_idle()
    server.answers[url().path] = PEM
    assert ask(store, server).key_size == 2048


def test_five_seconds_is_the_timeout_unless_told():
    timeout = inspect.signature(CertificateStore).parameters["fetch_timeout"]

    assert timeout.default == timedelta(seconds=5)


def test_nobody_listening_is_a_503():
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

    assert ask(CertificateStore(), server).key_size == 2048
    assert "Authorization" not in server.headers[0]


def test_a_failure_is_never_remembered(server):
    shared = Shared()
    store = CertificateStore(shared)
    server.answers[url().path] = b"broken"

    refusal(store, server)
    server.answers[url().path] = PEM

    assert ask(store, server).key_size == 2048
    assert list(shared.content.values()) == [PEM]


def test_requests_at_the_same_time_share_one_fetch(server):
    release = threading.Event()
    server.answers[url().path] = lambda handler: (release.wait(3), send(handler, PEM))
    store = CertificateStore()

    with ThreadPoolExecutor(12) as pool:
        asked = [pool.submit(ask, store, server) for _ in range(12)]
        time.sleep(0.1)
        release.set()
        keys = {id(future.result()) for future in asked}

    assert len(keys) == 1
    assert server.asked[url().path] == 1


def test_requests_at_the_same_time_share_one_failure_and_one_timeout(server):
    server.answers[url().path] = say_nothing
    store = CertificateStore(fetch_timeout=timedelta(seconds=0.4))

    started = time.monotonic()
    with ThreadPoolExecutor(12) as pool:
        failures = [pool.submit(refusal, store, server) for _ in range(12)]
        assert all(future.result() for future in failures)

    assert time.monotonic() - started < 1
    assert server.asked[url().path] == 1


def test_made_up_urls_cannot_take_every_thread(server):
    for number in range(1, 4):
        server.answers[url(number).path] = say_nothing
    store = CertificateStore(max_fetches=2, fetch_timeout=timedelta(seconds=0.4))

    with ThreadPoolExecutor(2) as pool:
        held = [pool.submit(refusal, store, server, url(n)) for n in (1, 2)]
        time.sleep(0.1)
        started = time.monotonic()
        assert "too many" in refusal(store, server, url(3))
        assert time.monotonic() - started < 0.1
        assert all(future.result() for future in held)

    _wait_until_idle()
    assert ask(store, server).key_size == 2048


def shared_key(server):
    return f"sns-certificate:{server.origin}{url().path}"


def test_the_shared_cache_is_asked_before_the_network(server):
    shared = Shared(**{shared_key(server): PEM})

    assert ask(CertificateStore(shared), server).key_size == 2048
    assert not server.asked


def test_what_one_process_fetched_the_next_one_finds(server):
    shared = Shared()

    ask(CertificateStore(shared, ttl=timedelta(hours=3)), server)
    ask(CertificateStore(shared), server)

    assert server.asked[url().path] == 1
    assert shared.content == {shared_key(server): PEM}
    assert shared.lifetimes == {timedelta(hours=3)}


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
def test_the_shared_cache_is_believed_no_more_than_the_network(server, content):
    shared = Shared(**{shared_key(server): content})

    assert ask(CertificateStore(shared), server).key_size == 2048
    assert server.asked[url().path] == 1
    assert shared.content[shared_key(server)] == PEM


def test_a_broken_shared_cache_is_ignored(server):
    class Broken:
        def get(self, key):
            raise ConnectionError

        def set(self, key, value, ttl):
            raise TimeoutError

    assert ask(CertificateStore(Broken()), server).key_size == 2048


def test_without_an_origin_the_url_itself_is_fetched():
    """The key of the shared cache shows the address; nothing leaves this machine."""
    shared = Shared(**{f"sns-certificate:{url().url}": PEM})

    assert CertificateStore(shared).public_key(url(), origin=None, now=NOW).key_size == 2048


def _wait_until_idle():
    deadline = time.monotonic() + 3
    while any(thread.name == "sns-certificate" for thread in threading.enumerate()):
        assert time.monotonic() < deadline, "a fetch outlives its deadline"
        time.sleep(0.01)
