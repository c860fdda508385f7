"""The SES provider and a real twin on the other side of boto3."""

import socket
import subprocess
import sys
from base64 import b64decode
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import boto3
import orjson
import pytest
import requests
from botocore.config import Config

from core import aws
from core.db.ids import uuid7
from emails.models import Email
from emails.providers import Outbound, get_provider
from emails.providers.ses import _request, wire_message_id
from emails.sending.loop import send_due
from emails.sending.send_results import resolve_unknown
from ingest.models import ProviderEvent
from ingest.processing import process_due

ROOT = Path(__file__).resolve().parents[2]
LONG_AGO = "2026-01-01T00:00Z"

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def twin_url(tmp_path_factory):
    process = subprocess.Popen(
        [sys.executable, "-m", "twin", "--port", "0", f"--var-dir={tmp_path_factory.mktemp('t')}"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        yield process.stdout.readline().split()[-1]
        process.terminate()


class Twin:
    def __init__(self, url):
        self.url = url

    def fault(self, **faults):
        requests.post(f"{self.url}/_twin/faults", json=faults, timeout=5).raise_for_status()

    def heal(self):
        requests.delete(f"{self.url}/_twin/faults", timeout=5).raise_for_status()

    def mail(self):
        return requests.get(f"{self.url}/_twin/mail", timeout=5).json()


@pytest.fixture
def twin(twin_url, settings):
    settings.AWS_ENDPOINT_URL = twin_url
    requests.post(f"{twin_url}/_twin/reset?all=true", timeout=5).raise_for_status()
    aws._client.cache_clear()
    get_provider.cache_clear()
    ses = aws.ses("us-east-1")
    ses.create_email_identity(EmailIdentity="example.com")
    ses.get_email_identity(EmailIdentity="example.com")
    ses.create_configuration_set(ConfigurationSetName="opensend")
    yield Twin(twin_url)
    ses.close()
    aws._client.cache_clear()


def make_due():
    Email.objects.exclude(next_attempt_at=None).update(next_attempt_at=LONG_AGO)


def test_ses_gets_the_whole_mail_and_we_keep_its_ids(twin, accepted):
    email = accepted(
        to=["bob@example.net", "Carla Cruz <carla@example.net>"],
        cc="dan@example.net",
        bcc="eve@example.net",
        subject="Grüße",
        html="<p>Hällo</p>",
        headers={"X-Order": "7"},
        tags=[{"name": "campaign", "value": "spring"}],
    )

    assert send_due() == 1

    (mail,) = twin.mail()
    assert mail["envelope"]["from"] == "ada@example.com"
    assert mail["envelope"]["to"] == [
        *("bob@example.net", "carla@example.net", "dan@example.net", "eve@example.net"),
    ]
    assert mail["tags"] == {"campaign": "spring", "opensend_email_id": str(email.pk)}
    assert mail["configuration_set"] == "opensend"
    raw = b64decode(mail["raw_base64"])
    message = message_from_bytes(raw, policy=default)
    assert message["Subject"] == "Grüße"
    assert message["X-Order"] == "7"
    assert message["X-OpenSend-Email-ID"] == str(email.pk)
    assert b"eve@" not in raw
    email.refresh_from_db()
    assert (email.status, email.provider_message_id) == ("sent", mail["id"])
    assert email.message_id == message["Message-ID"] == f"<{mail['id']}@email.amazonses.com>"
    assert mail["id"] in email.provider_response


@pytest.mark.parametrize(
    ("region", "host"), [("us-east-1", "email"), ("eu-west-1", "eu-west-1"), ("us-west-2",) * 2]
)
def test_the_message_id_on_the_wire_names_the_region(region, host):
    assert wire_message_id("0100-x", region) == f"<0100-x@{host}.amazonses.com>"


def test_ses_takes_fifty_tags_and_ours_is_among_them():
    outbound = Outbound(
        email_id="ours",
        sender="ada@example.com",
        to=["bob@example.net"],
        cc=[],
        bcc=[],
        mime=b"",
        message_id="<ours@example.com>",
        region="us-east-1",
        configuration_set="",
        tags={f"t{number}": "x" for number in range(75)},
    )

    request = _request(outbound)

    assert len(request["EmailTags"]) == 50
    assert request["EmailTags"][0] == {"Name": "opensend_email_id", "Value": "ours"}
    assert "ConfigurationSetName" not in request


def test_seventy_five_tags_do_not_stop_a_mail(twin, accepted):
    email = accepted(tags=[{"name": f"t{number}", "value": "x"} for number in range(75)])

    send_due()

    email.refresh_from_db()
    assert email.status == "sent"
    assert len(twin.mail()[0]["tags"]) == 50


TEMPORARY = [
    *("TooManyRequestsException", "ThrottlingException", "LimitExceededException"),
    *("SendingPausedException", "AccountSuspendedException", "InternalServiceErrorException"),
    *("ServiceUnavailable", "AccessDeniedException", "ExpiredTokenException"),
]


@pytest.mark.parametrize("code", TEMPORARY)
def test_what_passes_is_tried_again(code, twin, accepted, published):
    email = accepted()
    twin.fault(fail_calls={"SendEmail": code})
    for _ in range(2):
        send_due()
        email.refresh_from_db()
        assert email.status == "queued"
        make_due()
    assert code in email.last_error
    twin.heal()

    send_due()

    email.refresh_from_db()
    assert email.status == "sent"
    assert [kind for kind, _ in published()] == ["email.delayed", "email.sent"]
    assert len(twin.mail()) == 1


@pytest.mark.parametrize(
    "code",
    [
        *("MessageRejected", "MailFromDomainNotVerifiedException", "BadRequestException"),
        *("NotFoundException", "ValidationException"),
    ],
)
def test_what_never_passes_fails_at_once(code, twin, accepted, published):
    email = accepted()
    twin.fault(fail_calls={"SendEmail": code})

    send_due()

    email.refresh_from_db()
    assert (email.status, email.next_attempt_at) == ("failed", None)
    ((kind, data),) = published()
    assert kind == "email.failed"
    assert code in data["failed"]["reason"]


def test_a_domain_that_ses_does_not_know_fails_with_its_words(twin, accepted, published):
    aws.ses("us-east-1").delete_email_identity(EmailIdentity="example.com")
    accepted()

    send_due()

    assert "not verified" in published("email.failed")[0][1]["failed"]["reason"]


def test_a_refused_connection_is_no_doubt(twin, accepted, settings, published):
    email = accepted()
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        settings.AWS_ENDPOINT_URL = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        aws.ses("us-east-1").close()
        aws._client.cache_clear()
        send_due()
        aws.ses("us-east-1").close()
        aws._client.cache_clear()

    email.refresh_from_db()
    assert email.status == "queued"
    assert [kind for kind, _ in published()] == ["email.delayed"]
    settings.AWS_ENDPOINT_URL = twin.url
    make_due()
    send_due()
    email.refresh_from_db()
    assert email.status == "sent"
    aws.ses("us-east-1").close()


@pytest.fixture
def impatient(twin, monkeypatch):
    """A client that waits for an answer for a moment only."""
    client = boto3.client(
        "sesv2",
        region_name="us-east-1",
        endpoint_url=twin.url,
        config=Config(read_timeout=0.3, retries={"total_max_attempts": 1}),
    )
    monkeypatch.setattr(aws, "ses", lambda region: client)
    yield
    client.close()


def test_an_answer_that_is_too_late_leaves_a_doubt_that_an_event_settles(
    twin, impatient, accepted, published
):
    email = accepted()
    twin.fault(latency_ms=1000)

    send_due()

    email.refresh_from_db()
    assert (email.status, email.provider_message_id) == ("unknown", "")
    assert [kind for kind, _ in published()] == ["email.delayed"]
    (mail,) = twin.mail()  # SES has it all the same
    send_event(mail)
    email.refresh_from_db()
    assert (email.status, email.next_attempt_at) == ("sent", None)
    assert email.provider_message_id == mail["id"]
    assert email.message_id == f"<{mail['id']}@email.amazonses.com>"
    make_due()
    assert (resolve_unknown(), send_due(), len(twin.mail())) == (0, 0, 1)


def send_event(mail):
    """What SES publishes about a mail that the twin has taken."""
    event = {
        "eventType": "Send",
        "send": {},
        "mail": {
            "timestamp": "2026-03-01T12:00:00.000Z",
            "messageId": mail["id"],
            "tags": {name: [value] for name, value in mail["tags"].items()},
        },
    }
    ProviderEvent.objects.create(
        source="ses",
        event_id=str(uuid7()),
        body=orjson.dumps({"Message": orjson.dumps(event).decode()}).decode(),
        next_attempt_at=LONG_AGO,
    )
    assert process_due() == 1


def test_many_mails_leave_at_once(twin, api, domain, message):
    api.post("/emails/batch", [message | {"subject": f"Number {n}"} for n in range(100)])
    Email.objects.update(next_attempt_at=LONG_AGO)

    assert send_due() == 100

    assert set(Email.objects.values_list("status", flat=True)) == {"sent"}
    sent = {(mail["id"], mail["tags"]["opensend_email_id"]) for mail in twin.mail()}
    stored = {(row.provider_message_id, str(row.pk)) for row in Email.objects.all()}
    assert sent == stored
