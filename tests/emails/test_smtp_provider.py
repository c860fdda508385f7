"""The SMTP provider against a real server on loopback, with STARTTLS and a login."""

import asyncio
import socket
import ssl
import time
from email import message_from_bytes
from email.policy import default

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from emails.models import Email, SendRate
from emails.providers import PROVIDERS, get_provider, smtp
from emails.sending.loop import send_due
from tests.certificates import self_signed
from tests.database import make_due

pytestmark = pytest.mark.django_db

RELAY_URL = "smtp+starttls://relay.example.com:587"


class Relay:
    """Replies as configured; `hangs_up` closes the connection instead of replying to DATA."""

    def __init__(self):
        self.accepted = []
        self.logins = []
        self.connections = 0
        self.at_recipient = {}
        self.at_data = "250 2.0.0 queued as 7"
        self.hangs_up = False
        self.delay = 0

    async def handle_EHLO(self, server, session, envelope, hostname, responses):
        session.host_name = hostname
        self.connections += session.ssl is not None
        return responses

    async def handle_RCPT(self, server, session, envelope, address, options):
        await asyncio.sleep(self.delay)
        if address in self.at_recipient:
            return self.at_recipient[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        if self.hangs_up:
            server.transport.abort()
            return "250 lost"
        if self.at_data.startswith("250"):
            self.accepted.append((envelope.mail_from, envelope.rcpt_tos, envelope.content))
        return self.at_data

    def authenticate(self, server, session, envelope, mechanism, auth_data):
        credentials = (auth_data.login, auth_data.password)
        self.logins.append(credentials)
        return AuthResult(success=credentials == (b"us er", b"p@ss"))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A file with a self-signed certificate for 127.0.0.1 and its key."""
    return self_signed(tmp_path_factory.mktemp("relay") / "server.pem", "127.0.0.1")


@pytest.fixture
def relay(certificate, settings, monkeypatch):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    handler = Relay()
    controller = Controller(
        handler,
        hostname="127.0.0.1",
        port=free_port(),
        tls_context=tls,
        require_starttls=True,
        authenticator=handler.authenticate,
        auth_required=True,
    )
    controller.start()
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    settings.EMAIL_PROVIDER = "smtp"
    settings.SMTP_URL = f"smtp+starttls://us%20er:p%40ss@127.0.0.1:{controller.port}"
    get_provider.cache_clear()
    yield handler
    get_provider("smtp").close()
    get_provider.cache_clear()
    controller.stop()


def test_a_relay_accepts_the_email_over_tls_with_our_message_id(relay, accepted, published):
    email = accepted(cc="carla@example.net", bcc="eve@example.net", text=".dot\n..dots")
    assert email.provider == "smtp"

    assert send_due().claimed == 1

    ((sender, recipients, content),) = relay.accepted
    assert sender == "ada@example.com"
    assert recipients == ["bob@example.net", "carla@example.net", "eve@example.net"]
    message = message_from_bytes(content, policy=default)
    assert message["Message-ID"] == f"<{email.pk}@example.com>"
    assert message.get_content().splitlines() == [".dot", "..dots"]
    assert b"eve@" not in content
    assert relay.logins == [(b"us er", b"p@ss")]
    email.refresh_from_db()
    assert (email.status, email.message_id) == ("sent", message["Message-ID"])
    assert "queued as 7" in email.provider_response
    assert [kind for kind, _ in published()] == ["email.sent"]


def test_a_connection_is_reused_unless_it_is_dead(relay, accepted):
    for _ in range(3):
        accepted()
        send_due()
    assert relay.connections == 1

    get_provider()._idle[0][1].sock.shutdown(2)
    accepted()
    send_due()

    assert (relay.connections, len(relay.accepted)) == (2, 4)


def test_a_slow_relay_is_abandoned_within_the_deadline(relay, accepted, monkeypatch):
    monkeypatch.setattr(smtp, "MAX_CALL_SECONDS", 1.0)
    monkeypatch.setattr(smtp, "MIN_DATA_SECONDS", 0.2)
    relay.delay = 0.2
    email = accepted(to=[f"{n}@example.net" for n in range(20)])
    started = time.monotonic()

    send_due()

    assert time.monotonic() - started < 3  # not the four seconds of twenty answers
    email.refresh_from_db()
    assert (email.status, relay.accepted) == ("queued", [])
    assert "timed out" in email.last_error or "too long" in email.last_error


def test_only_a_relay_on_this_host_works_without_tls(relay, accepted, settings):
    settings.SMTP_URL = "smtp://user:pass@relay.example.com"
    email = accepted()

    send_due()

    email.refresh_from_db()
    assert email.status == "queued"
    assert "needs TLS" in email.last_error


def test_an_untrusted_certificate_is_rejected(relay, accepted, monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE")
    email = accepted()

    send_due()

    email.refresh_from_db()
    assert (email.status, relay.logins) == ("queued", [])
    assert "CERTIFICATE_VERIFY_FAILED" in email.last_error


def test_only_the_refused_recipient_fails(relay, accepted, published):
    relay.at_recipient = {"carla@example.net": "550 5.1.1 no such mailbox"}
    email = accepted(to=["bob@example.net", "carla@example.net"])

    send_due()

    email.refresh_from_db()
    assert email.status == "sent"
    assert dict(email.recipients.values_list("address", "status")) == {
        "bob@example.net": "sent",
        "carla@example.net": "failed",
    }
    ((_, failed),) = published("email.failed")
    assert failed["failed"]["reason"] == "550 5.1.1 no such mailbox"
    assert failed["recipient"] == "carla@example.net"


@pytest.mark.parametrize(
    ("recipients", "expected"),
    [
        ({"bob@example.net": "550 no", "carla@example.net": "550 no"}, "failed"),
        ({"bob@example.net": "550 no", "carla@example.net": "450 later"}, "queued"),
    ],
)
def test_when_all_are_refused_one_temporary_refusal_causes_a_retry(
    recipients, expected, relay, accepted
):
    relay.at_recipient = recipients
    email = accepted(to=list(recipients))

    send_due()

    email.refresh_from_db()
    assert email.status == expected
    assert relay.accepted == []


@pytest.mark.parametrize(
    ("answer", "expected"),
    [("554 5.7.1 spam", "failed"), ("451 4.3.0 try again", "queued"), ("421 bye", "queued")],
)
def test_4xx_is_temporary_and_5xx_permanent(answer, expected, relay, accepted):
    relay.at_data = answer
    email = accepted()

    send_due()

    email.refresh_from_db()
    assert (email.status, email.last_error) == (expected, answer)
    if expected == "queued":
        relay.at_data = "250 ok"
        make_due(Email)
        send_due()
        email.refresh_from_db()
        assert email.status == "sent"


def test_a_connection_lost_after_data_makes_the_send_unknown(relay, accepted):
    relay.hangs_up = True
    email = accepted()

    send_due()

    email.refresh_from_db()
    assert email.status == "unknown"


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://relay.example.com", "must start with smtp"),
        ("smtps://", "must start with smtp"),
        ("", "must start with smtp"),
        ("smtp://relay.example.com", "needs TLS"),
        ("smtp://192.0.2.1", "needs TLS"),
        ("smtps://relay.example.com:70000", "valid host and port"),
        ("smtps://[::1", "valid host and port"),
    ],
)
def test_a_url_that_cannot_work_says_why(url, problem):
    with pytest.raises(ValueError, match=problem):
        smtp.parse_url(url)


@pytest.mark.parametrize(
    "url", ["smtp://localhost", "smtp://[::1]:2525", "smtps://u:p@relay.example.com", RELAY_URL]
)
def test_a_url_is_parsed(url):
    assert smtp.parse_url(url).geturl() == url


def test_providers_are_known_by_name():
    assert PROVIDERS == ("ses", "smtp")
    assert [get_provider(name).name for name in PROVIDERS] == ["ses", "smtp"]


@pytest.mark.parametrize(
    "url", ["smtp+starttls://127.0.0.1:1", "smtps://127.0.0.1:1", "http://127.0.0.1", ""]
)
def test_an_unreachable_relay_is_retried(url, relay, accepted, settings):
    settings.SMTP_URL = url
    email = accepted()

    send_due()

    email.refresh_from_db()
    assert email.status == "queued"
    assert "SMTP" in email.last_error


def test_a_relay_has_its_own_rate_limit_if_configured(relay, accepted, settings):
    settings.SMTP_RATE = 20.0
    accepted()

    send_due()

    assert SendRate.objects.get().name == "smtp"
    assert SendRate.objects.get().max_rate == 20


def test_a_domain_may_have_another_provider(relay, accepted, domain, settings):
    settings.EMAIL_PROVIDER = "ses"
    domain.provider = "smtp"
    domain.save()
    email = accepted()

    send_due()

    email.refresh_from_db()
    assert (email.provider, email.status) == ("smtp", "sent")
