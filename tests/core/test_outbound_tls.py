"""TLS: the certificate is verified for the host name, not for the IP address."""

import asyncio
import ssl

import pytest

from core.outbound import OutboundClient, OutboundPolicy
from tests.certificates import self_signed

LOOPBACK = OutboundPolicy.allowing(["127.0.0.0/8"])
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """Self-signed, for hooks.example.test only."""
    return self_signed(tmp_path_factory.mktemp("tls") / "server.pem", "hooks.example.test")


@pytest.fixture
def server_tls(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def get(host, *, server_tls=None, trusting=None, timeout=2.0, response=OK):
    """GET https://<host>/ from a loopback server: the outcome, and the request heads it read."""
    heads, tasks = [], set()

    async def serve(reader, writer):
        tasks.add(asyncio.current_task())
        try:
            head = await reader.read(1000)
            heads.append(head.decode("latin-1"))
            if response:
                writer.write(response)
                await writer.drain()
            await reader.read()
        except asyncio.CancelledError:
            pass
        finally:
            writer.transport.abort()

    async def run():
        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=server_tls)
        port = server.sockets[0].getsockname()[1]
        async with (
            server,
            OutboundClient(LOOPBACK, lookup=lambda name: ["127.0.0.1"], tls=trusting) as client,
        ):
            outcome = await client.request(
                "GET", f"https://{host}:{port}/", headers={}, timeout=timeout, max_body=10
            )
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return outcome, heads

    return asyncio.run(run())


def test_a_trusted_certificate_is_verified_for_the_host_name(server_tls, certificate):
    server_names = []
    server_tls.sni_callback = lambda _, name, __: server_names.append(name)
    trusting = ssl.create_default_context(cafile=certificate)
    good, heads = get("hooks.example.test", server_tls=server_tls, trusting=trusting)
    other, _ = get("other.example.test", server_tls=server_tls, trusting=trusting)

    assert (good.status, good.error, good.body, good.address) == (200, None, b"ok", "127.0.0.1")
    assert server_names == ["hooks.example.test", "other.example.test"]
    assert "\r\nHost: hooks.example.test:" in heads[0]
    assert (other.status, other.error) == (None, "tls_error")
    assert "other.example.test" in other.message


def test_a_self_signed_certificate_is_a_tls_error(server_tls):
    outcome, heads = get("hooks.example.test", server_tls=server_tls)

    assert (outcome.status, outcome.error) == (None, "tls_error")
    assert outcome.message == "TLS handshake failed: self-signed certificate"
    assert heads == []


def test_a_server_without_tls_is_a_tls_error():
    outcome, _ = get("hooks.example.test", response=b"HTTP/1.1 400 Bad Request\r\n\r\n")

    assert (outcome.status, outcome.error) == (None, "tls_error")


def test_a_handshake_that_hangs_is_a_timeout():
    outcome, _ = get("hooks.example.test", response=None, timeout=0.2)

    assert (outcome.status, outcome.error) == (None, "timeout")
    assert outcome.duration_ms < 900
