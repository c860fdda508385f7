"""`POST /events/ses`: signed messages, every rejection, and a single INSERT."""

import json
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from django.test import Client

from ingest.api import ses
from ingest.models import ProviderEvent
from ingest.sns import CertificateStore
from ingest.sns.messages import MAX_BODY_BYTES
from tests.database import another_connection, captured_statements, missing_database
from tests.ingest.sns_server import running_server
from tests.ingest.sns_signer import body, certificate, signed

PATH = "/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem"
CERT_URL = f"https://sns.us-east-1.amazonaws.com{PATH}"
TOPIC = "arn:aws:sns:us-east-1:123456789012:opensend-events"
NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def signing():
    """A server with the certificate of the signing key, valid today."""
    with running_server() as server:
        day = timedelta(days=1)
        server.responses[PATH] = certificate(since=NOW - day, until=NOW + day)
        yield server


@pytest.fixture(autouse=True)
def trusted(signing, settings, monkeypatch):
    settings.LOCAL_MODE = True
    settings.AWS_ENDPOINT_URL = signing.origin
    monkeypatch.setattr(ses, "CERTIFICATES", CertificateStore())
    ses.policy.cache_clear()
    yield signing
    ses.policy.cache_clear()


def fields(kind="notification", *, age=timedelta(0), **changes):
    """A genuine message, published now."""
    at = datetime.now(UTC) - age
    changes = {
        "MessageId": str(uuid4()),
        "TopicArn": TOPIC,
        "SigningCertURL": CERT_URL,
        "Timestamp": at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03}Z",
    } | changes
    return signed(kind, **changes)


def post(message, *, path="/events/ses", header=None):
    raw = message if isinstance(message, bytes) else body(message)
    headers = {"x-amz-sns-message-type": header} if header else {}
    return Client().post(path, raw, content_type="text/plain; charset=UTF-8", headers=headers)


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/events/ses", "/api/events/ses", "/api/webhooks/ses"])
@pytest.mark.parametrize("version", ["1", "2"])
def test_a_genuine_notification_is_stored(path, version):
    message = fields(SignatureVersion=version)

    response = post(message, path=path, header="Notification")

    assert (response.status_code, response.content) == (200, b"OK")
    row = ProviderEvent.objects.get()
    assert (row.source, row.event_id, row.kind) == ("ses", message["MessageId"], "notification")
    assert (row.state, row.topic_arn) == ("received", TOPIC)
    assert row.body == body(message).decode()
    assert row.next_attempt_at is not None


@pytest.mark.django_db(transaction=True)
def test_the_row_is_committed_before_the_response():
    message = fields()

    post(message)

    with another_connection() as other:
        rows = other.execute("SELECT event_id FROM provider_events").fetchall()
    assert rows == [(message["MessageId"],)]


@pytest.mark.django_db(transaction=True)
def test_a_request_runs_one_statement_without_a_transaction():
    post(fields())  # fetches the certificate

    with captured_statements() as statements:
        assert post(fields()).status_code == 200

    assert len(statements) == 1
    assert statements[0].startswith("INSERT INTO provider_events")


@pytest.mark.django_db
def test_a_duplicate_gets_200_and_changes_nothing():
    message = fields()
    post(message)
    ProviderEvent.objects.update(state="processed", next_attempt_at=None)
    before = ProviderEvent.objects.values().get()

    for again in (message, message | {"UnsubscribeURL": "https://sns.example/other"}):
        response = post(again)
        assert (response.status_code, response.content) == (200, b"OK")

    assert ProviderEvent.objects.values().get() == before


@pytest.mark.django_db
def test_duplicates_are_detected_in_any_case_of_the_message_id():
    name = str(uuid4())

    assert post(fields(MessageId=name)).status_code == 200
    assert post(fields(MessageId=name.upper())).status_code == 200

    assert ProviderEvent.objects.count() == 1


OTHER_TOPIC = TOPIC + "-of-somebody-else"
HOUR = timedelta(hours=1)

# In the order of the checks: body, status, error name, whether a certificate was fetched.
REJECTED = {
    "too long": (lambda: b" " * (MAX_BODY_BYTES + 1), 413, "payload_too_large", False),
    "not JSON": (lambda: b"Hello", 400, None, False),
    "nested too deep": (lambda: b"[" * 100_000, 400, None, False),
    "a missing field": (
        lambda: {k: v for k, v in fields().items() if k != "TopicArn"},
        *(400, None, False),
    ),
    "not a string": (lambda: fields() | {"Timestamp": 7}, 400, None, False),
    "a control character": (lambda: fields() | {"TopicArn": TOPIC + "\n"}, 400, None, False),
    "not a UUID": (lambda: fields(MessageId=f"{uuid4()}\nSubject\nHello"), 400, None, False),
    "another topic": (lambda: fields(TopicArn=OTHER_TOPIC), 403, "topic_not_allowed", False),
    "another certificate URL": (
        lambda: fields(SigningCertURL=f"https://sns.us-east-1.amazonaws.com.example{PATH}"),
        *(400, None, False),
    ),
    "another region's certificate": (
        lambda: fields(SigningCertURL=CERT_URL.replace("us-east-1", "eu-west-1")),
        *(400, None, False),
    ),
    "an unknown version": (
        lambda: fields() | {"SignatureVersion": "3"},
        *(403, None, False),
    ),
    "a changed message": (lambda: fields() | {"Message": "{}"}, 403, None, True),
    "an undecodable signature": (lambda: fields() | {"Signature": "ä"}, 403, None, True),
    "version 2 labelled 1": (
        lambda: fields(SignatureVersion="2") | {"SignatureVersion": "1"},
        *(403, None, True),
    ),
    "too old": (lambda: fields(age=3 * HOUR), 403, None, True),
    "from the future": (lambda: fields(age=-HOUR), 403, None, True),
}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("case", REJECTED)
def test_a_rejected_message_is_not_stored(case, trusted):
    make, status, name, fetched = REJECTED[case]
    trusted.requests.clear()

    with captured_statements() as statements:
        response = post(make())

    assert response.status_code == status
    assert response.json()["statusCode"] == status
    assert name is None or response.json()["name"] == name
    assert statements == []
    assert bool(trusted.requests) == fetched


@pytest.mark.django_db
def test_the_header_must_match_the_type():
    assert post(fields(), header="SubscriptionConfirmation").status_code == 400
    assert not ProviderEvent.objects.exists()


@pytest.mark.django_db
def test_a_body_without_an_envelope_mentions_raw_message_delivery():
    response = post(b'{"eventType": "Send", "mail": {"messageId": "x"}, "send": {}}')

    assert response.status_code == 400
    assert "RawMessageDelivery" in response.json()["message"]


@pytest.mark.django_db
def test_only_post_is_allowed():
    assert Client().get("/events/ses").status_code == 405


@pytest.mark.django_db
def test_without_topics_everything_is_rejected(settings):
    settings.SES_EVENTS_SNS_TOPIC_ARN = []
    ses.policy.cache_clear()

    assert post(fields()).status_code == 403


@pytest.mark.django_db
def test_version_1_is_rejected_when_version_2_is_required(settings):
    settings.SNS_REQUIRE_SIGNATURE_V2 = True
    ses.policy.cache_clear()

    assert post(fields(SignatureVersion="1")).status_code == 403
    assert post(fields(SignatureVersion="2")).status_code == 200


@pytest.mark.django_db
def test_an_unavailable_certificate_returns_503(trusted):
    url = CERT_URL.replace("0123", "9999")

    response = post(fields(SigningCertURL=url))

    assert response.status_code == 503
    assert not ProviderEvent.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    "text",
    [
        "Successfully validated SNS topic for Amazon SES event publishing.",
        json.dumps(
            {
                "notificationType": "AmazonSnsSubscriptionSucceeded",
                "message": "You have successfully subscribed your Amazon SNS topic",
            }
        ),
    ],
)
def test_control_messages_are_stored_and_not_processed(text):
    assert post(fields(Message=text)).status_code == 200

    row = ProviderEvent.objects.get()
    assert (row.kind, row.state, row.next_attempt_at) == ("control", "noted", None)


@pytest.mark.django_db
def test_an_unsubscribe_confirmation_is_stored_and_its_url_not_fetched(trusted, caplog):
    trusted.requests.clear()

    response = post(fields("unsubscribe_confirmation"))

    assert response.status_code == 200
    row = ProviderEvent.objects.get()
    assert (row.kind, row.state, row.next_attempt_at) == ("unsubscribed", "noted", None)
    assert set(trusted.requests) <= {PATH}


@pytest.mark.django_db(transaction=True)
def test_a_database_failure_returns_503(caplog):
    post(fields())
    with missing_database():
        response = post(fields())

    assert response.status_code == 503
    assert response.json()["name"] == "storage_failure"
    assert ProviderEvent.objects.count() == 1


@pytest.mark.django_db
def test_a_message_with_a_nul_is_stored():
    assert post(fields(Message="a\x00b")).status_code == 200

    assert json.loads(ProviderEvent.objects.get().body)["Message"] == "a\x00b"
