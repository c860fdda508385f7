"""Fetching over TLS, as from Amazon."""

import ssl
import threading
import time

import pytest

from ingest.sns.fetching import Fetch, FetchFailed
from tests.certificates import self_signed
from tests.clients import serving
from tests.ingest.sns_server import CertificateServer, drip


@pytest.fixture(scope="module")
def identity(tmp_path_factory):
    """A file with a key and its self-signed certificate for 127.0.0.1."""
    return self_signed(tmp_path_factory.mktemp("tls") / "server.pem", "127.0.0.1")


@pytest.fixture
def server(identity):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(identity)
    server = CertificateServer()
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.responses["/pem"] = b"content"
    with serving(server):
        yield server
        server.closing.set()


@pytest.fixture
def trusted(identity, monkeypatch):
    monkeypatch.setattr("requests.adapters.DEFAULT_CA_BUNDLE_PATH", str(identity))


def fetch(server, *, seconds=3.0):
    address = f"https://127.0.0.1:{server.server_port}/pem"
    return Fetch(address, deadline=time.monotonic() + seconds, max_bytes=100)


@pytest.mark.usefixtures("trusted")
def test_a_server_with_a_trusted_certificate_is_accepted(server):
    assert fetch(server).run() == b"content"


def test_a_server_with_an_untrusted_certificate_is_rejected(server):
    with pytest.raises(FetchFailed, match="SSLError"):
        fetch(server).run()
    assert not server.requests


def test_the_environment_cannot_add_trusted_certificates(server, identity, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(identity))
    monkeypatch.setenv("CURL_CA_BUNDLE", str(identity))

    with pytest.raises(FetchFailed, match="SSLError"):
        fetch(server).run()


@pytest.mark.usefixtures("trusted")
def test_abort_ends_a_fetch_with_dripping_headers(server):
    server.responses["/pem"] = lambda handler: drip(handler, b"HTTP/1.1 200 OK\r\nX: " + b"x" * 999)
    slow = fetch(server, seconds=30)
    timer = threading.Timer(0.3, slow.abort)
    timer.start()

    started = time.monotonic()
    with pytest.raises(FetchFailed):
        slow.run()
    timer.join()

    assert time.monotonic() - started < 1
