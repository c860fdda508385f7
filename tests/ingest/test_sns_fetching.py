"""Fetching over TLS, as from Amazon."""

import ipaddress
import ssl
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from ingest.sns.fetching import Fetch, FetchFailed
from tests.ingest.sns_server import CertificateServer, drip
from tests.ingest.sns_signer import key


@pytest.fixture(scope="module")
def identity(tmp_path_factory):
    """A file with a key and its self-signed certificate for 127.0.0.1."""
    now = datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "loopback")])
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key().public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key(), hashes.SHA256())
    )
    private = key().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path = tmp_path_factory.mktemp("tls") / "identity.pem"
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def server(identity):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(identity)
    server = CertificateServer()
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.responses["/pem"] = b"content"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.closing.set()
    server.shutdown()
    thread.join()
    server.server_close()


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
