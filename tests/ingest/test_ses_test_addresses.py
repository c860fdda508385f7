"""Mail to the test addresses of Resend's clients, as SES's mailbox simulator reports on it."""

import pytest

from contacts.models import Suppression
from core.addresses import is_simulated, simulator_address
from emails.models import EmailEvent, EmailRecipient
from emails.providers import Outbound
from emails.providers.ses import _request

pytestmark = pytest.mark.django_db
DAYS = ("2016-01-27", "2016-01-28", "2016-01-29")


def recipients(email):
    return dict(EmailRecipient.objects.filter(email=email).values_list("address", "status"))


def bounced(sample, address, *, kind="Permanent", day="2016-01-27"):
    event = sample("bounce_permanent_general")
    event["bounce"] |= {"bounceType": kind, "bounceSubType": "General", "feedbackId": day}
    event["bounce"] |= {"timestamp": f"{day}T14:59:38.237Z"}
    event["bounce"]["bouncedRecipients"] = [{"emailAddress": address}]
    return event


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("delivered@resend.dev", "success@simulator.amazonses.com"),
        ("bounced@resend.dev", "bounce@simulator.amazonses.com"),
        ("complained@resend.dev", "complaint@simulator.amazonses.com"),
        ("suppressed@resend.dev", "suppressionlist@simulator.amazonses.com"),
        ("bounced+label@resend.dev", "bounce+label@simulator.amazonses.com"),
        ("Bounced+Label+2@Resend.DEV", "bounce+Label+2@simulator.amazonses.com"),
        ("delivered+@resend.dev", "success+@simulator.amazonses.com"),
        ("success@simulator.amazonses.com", "success@simulator.amazonses.com"),
        ("onboarding@resend.dev", "onboarding@resend.dev"),
        ("delivered-x@resend.dev", "delivered-x@resend.dev"),
        ("delivered@mail.resend.dev", "delivered@mail.resend.dev"),
        ("delivered@resend.dev.example", "delivered@resend.dev.example"),
        ("delivered@example.com", "delivered@example.com"),
    ],
)
def test_a_test_address_has_a_counterpart_in_the_simulator(address, expected):
    assert simulator_address(address) == expected
    assert is_simulated(address) == expected.endswith("@simulator.amazonses.com")


def test_only_the_envelope_has_the_simulators_address():
    message = Outbound(
        email_id="x",
        sender="a@example.com",
        to=["delivered+1@resend.dev", "b@example.net"],
        cc=["complained@resend.dev"],
        bcc=["bounced@resend.dev"],
        mime=b"To: delivered+1@resend.dev\r\n\r\n",
        message_id="<x@example.com>",
        region="us-east-1",
        configuration_set="",
        tags={},
    )
    request = _request(message)
    assert request["Destination"] == {
        "ToAddresses": ["success+1@simulator.amazonses.com", "b@example.net"],
        "CcAddresses": ["complaint@simulator.amazonses.com"],
        "BccAddresses": ["bounce@simulator.amazonses.com"],
    }
    assert request["Content"]["Raw"]["Data"] == message.mime


def test_a_report_is_about_the_address_that_the_caller_wrote(
    sample, make_email, ingest_events, published
):
    delivery, complaint = sample("delivery"), sample("complaint_abuse")
    delivery["delivery"]["recipients"] = ["success+Ann@simulator.amazonses.com", "a@example.net"]
    complaint["complaint"]["complainedRecipients"] = [
        {"emailAddress": "Complaint <complaint@Simulator.amazonses.com>"}
    ]
    email = make_email(to=["delivered+Ann@resend.dev", "complained@resend.dev", "a@example.net"])

    ingest_events(delivery, complaint)

    assert recipients(email) == {
        "delivered+Ann@resend.dev": "delivered",
        "complained@resend.dev": "complained",
        "a@example.net": "delivered",
    }
    events = [data for _, data in published("email.delivered")]
    assert {data["recipient"] for data in events} == {"delivered+Ann@resend.dev", "a@example.net"}
    for data in events:
        assert data["delivery"]["recipients"] == ["delivered+Ann@resend.dev", "a@example.net"]
    stored = EmailEvent.objects.filter(type="delivered").first()
    assert stored.payload["recipients"] == ["delivered+Ann@resend.dev", "a@example.net"]
    assert published("email.complained")[0][1]["recipient"] == "complained@resend.dev"


def test_a_report_twice_is_recorded_once(sample, make_email, ingest_events):
    make_email(to=["bounced@resend.dev"])
    event = bounced(sample, "bounce@simulator.amazonses.com")
    ingest_events(event, event)
    assert EmailEvent.objects.count() == 1


def test_who_wrote_the_simulators_address_sees_that(sample, make_email, ingest_events):
    email = make_email(to=["bounce@simulator.amazonses.com", "bounced+x@resend.dev"])
    ingest_events(bounced(sample, "bounce@simulator.amazonses.com"))
    assert recipients(email) == {
        "bounce@simulator.amazonses.com": "bounced",
        "bounced+x@resend.dev": "sent",
    }


@pytest.mark.parametrize("kind", ["Permanent", "Transient"])
def test_test_mail_suppresses_nobody(kind, sample, make_email, ingest_events, published):
    email = make_email(to=["bounced@resend.dev"])
    address = "bounce@simulator.amazonses.com"
    ingest_events(*[bounced(sample, address, kind=kind, day=day) for day in DAYS])
    assert set(recipients(email).values()) <= {"bounced", "soft_bounced"}
    assert not Suppression.objects.exists()
    assert not published("suppression.added")


def test_a_second_mail_is_accepted_like_the_first(api, domain, sample, ingest_events):
    body = {"from": "a@example.com", "to": "bounced@resend.dev", "subject": "s", "text": "t"}
    for _ in range(2):
        answer = api.post("/emails", body)
        assert answer.status_code == 200
        email_id = answer.json()["id"]
        event = bounced(sample, "bounce@simulator.amazonses.com")
        event["mail"]["tags"]["opensend_email_id"] = [email_id]
        ingest_events(event)
        shown = api.get(f"/emails/{email_id}").json()
        assert shown["to"] == ["bounced@resend.dev"]
        assert [each["status"] for each in shown["recipients"]] == ["bounced"]


@pytest.mark.parametrize("address", ["bounced@resend.dev", "Suppressed+a@Resend.dev"])
def test_a_test_address_cannot_be_suppressed_by_hand(api, address):
    assert api.post("/suppressions", {"email": address}).status_code == 422
    answer = api.post("/suppressions/batch/add", {"emails": [address]})
    assert answer.status_code == 422
    assert api.post("/suppressions", {"email": "onboarding@resend.dev"}).status_code == 200
    assert [row.email for row in Suppression.objects.all()] == ["onboarding@resend.dev"]


def test_a_test_address_is_never_unsubscribed(workspace, client):
    from core.db.ids import uuid7
    from tracking.tokens import Unsubscribe, sign_unsubscribe

    token = sign_unsubscribe(Unsubscribe(workspace.pk, uuid7(), "delivered+a@resend.dev"))
    assert client.post(f"/t/u/{token}").status_code == 200
    assert not Suppression.objects.exists()
