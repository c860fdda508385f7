"""The SES provider against a real twin over HTTP."""

import socket
from base64 import b64decode
from email import message_from_bytes
from email.policy import default

import boto3
import pytest
from botocore.config import Config

from core import aws
from emails.models import Email
from emails.providers import Outbound, get_provider
from emails.providers.ses import _request, wire_message_id
from emails.sending.loop import send_due
from emails.sending.send_results import resolve_unknown
from ingest.processing import process_ses
from tests.database import make_due
from tests.factories import ses_send_event, store_ses_events
from tests.twin.twin_running import RunningTwin

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def running_twin(tmp_path_factory):
    twin = RunningTwin.start(tmp_path_factory.mktemp("t"))
    yield twin
    twin.stop()


@pytest.fixture
def twin(running_twin, aws_at):
    """The twin as if it were new, with the identity of example.com."""
    running_twin.reset()
    aws_at(running_twin.url)
    get_provider.cache_clear()
    ses = aws.ses("us-east-1")
    ses.create_email_identity(EmailIdentity="example.com")
    ses.get_email_identity(EmailIdentity="example.com")
    ses.create_configuration_set(ConfigurationSetName="opensend")
    yield running_twin
    ses.close()


def test_ses_gets_the_complete_message_and_its_ids_are_stored(twin, accepted):
    email = accepted(
        to=["bob@example.net", "Carla Cruz <carla@example.net>"],
        cc="dan@example.net",
        bcc="eve@example.net",
        subject="Grüße",
        html="<p>Hällo</p>",
        headers={"X-Order": "7"},
        tags=[{"name": "campaign", "value": "spring"}],
    )

    assert send_due().claimed == 1

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


def test_tags_are_limited_to_fifty_including_ours():
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


def test_an_email_with_seventy_five_tags_is_sent(twin, accepted):
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
def test_temporary_errors_are_retried(code, twin, accepted, published):
    email = accepted()
    twin.fault(fail_calls={"SendEmail": code})
    for _ in range(2):
        send_due()
        email.refresh_from_db()
        assert email.status == "queued"
        make_due(Email)
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
def test_permanent_errors_fail_at_once(code, twin, accepted, published):
    email = accepted()
    twin.fault(fail_calls={"SendEmail": code})

    send_due()

    email.refresh_from_db()
    assert (email.status, email.next_attempt_at) == ("failed", None)
    ((kind, data),) = published()
    assert kind == "email.failed"
    assert code in data["failed"]["reason"]


def test_an_unverified_domain_fails_with_the_reason_of_ses(twin, accepted, published):
    aws.ses("us-east-1").delete_email_identity(EmailIdentity="example.com")
    accepted()

    send_due()

    assert "not verified" in published("email.failed")[0][1]["failed"]["reason"]


def test_a_refused_connection_is_retried(twin, accepted, settings, published):
    email = accepted()
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        settings.AWS_ENDPOINT_URL = f"http://127.0.0.1:{unused.getsockname()[1]}"
        aws.ses("us-east-1").close()
        aws._client.cache_clear()
        send_due()
        aws.ses("us-east-1").close()
        aws._client.cache_clear()

    email.refresh_from_db()
    assert email.status == "queued"
    assert [kind for kind, _ in published()] == ["email.delayed"]
    settings.AWS_ENDPOINT_URL = twin.url
    make_due(Email)
    send_due()
    email.refresh_from_db()
    assert email.status == "sent"
    aws.ses("us-east-1").close()


@pytest.fixture
def short_timeout(twin, monkeypatch):
    """A client with a very short read timeout."""
    client = boto3.client(
        "sesv2",
        region_name="us-east-1",
        endpoint_url=twin.url,
        config=Config(read_timeout=0.3, retries={"total_max_attempts": 1}),
    )
    monkeypatch.setattr(aws, "ses", lambda region: client)
    yield
    client.close()


def test_a_timeout_makes_a_send_unknown_until_an_event_resolves_it(
    twin, short_timeout, accepted, published
):
    email = accepted()
    twin.fault(latency_ms=1000)

    send_due()

    email.refresh_from_db()
    assert (email.status, email.provider_message_id) == ("unknown", "")
    assert [kind for kind, _ in published()] == ["email.delayed"]
    (mail,) = twin.mail()  # SES has accepted it
    store_ses_events(ses_send_event(mail))
    assert process_ses().claimed == 1
    email.refresh_from_db()
    assert (email.status, email.next_attempt_at) == ("sent", None)
    assert email.provider_message_id == mail["id"]
    assert email.message_id == f"<{mail['id']}@email.amazonses.com>"
    make_due(Email)
    assert (resolve_unknown().claimed, send_due().claimed, len(twin.mail())) == (0, 0, 1)


def test_many_emails_are_sent_concurrently(twin, api, domain, message):
    api.post("/emails/batch", [message | {"subject": f"Number {n}"} for n in range(100)])
    make_due(Email)

    assert send_due().claimed == 100

    assert set(Email.objects.values_list("status", flat=True)) == {"sent"}
    sent = {(mail["id"], mail["tags"]["opensend_email_id"]) for mail in twin.mail()}
    stored = {(row.provider_message_id, str(row.pk)) for row in Email.objects.all()}
    assert sent == stored
