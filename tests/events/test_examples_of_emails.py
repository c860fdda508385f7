"""The examples of email.*, suppression.* and contact.* are what happens, to the letter."""

import json
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from django.test import RequestFactory
from django.utils import timezone

from contacts.models import Contact, Suppression
from contacts.suppressions import unsuppress
from emails.facts.opens_and_clicks import record_hits
from emails.models import Email
from emails.providers import Accepted, NotTaken, get_provider
from emails.sending.loop import send_due
from events.catalogue import CATALOGUE
from events.models import Event
from ingest.models import ProviderEvent
from ingest.processing import process_due
from tests.event_schemas import assert_like_example
from tracking.hits import hit
from tracking.tokens import Click, Open

FIXTURES = Path(__file__).parent.parent / "fixtures" / "ses"
GRACE = "grace@example.net"

pytestmark = pytest.mark.django_db


class Provider:
    """Takes each message, or answers with the next of `errors`."""

    name = "of-the-examples"

    def __init__(self):
        self.errors = []

    def bucket(self, region):
        return ""  # as fast as it goes

    def send(self, message):
        if self.errors:
            raise self.errors.pop()
        given = CATALOGUE["email.sent"].example["data"]["message_id"]
        return Accepted(provider_message_id="0100", message_id=given, provider_response={})


@pytest.fixture
def provider(settings):
    settings.EMAIL_PROVIDER = f"{__name__}.Provider"
    get_provider.cache_clear()
    yield get_provider()
    get_provider.cache_clear()


BODY = {
    "from": "Ada Lovelace <ada@example.com>",
    "to": f"Grace Hopper <{GRACE}>",
    "subject": "Your receipt",
    "text": "Thank you",
    "tags": [{"name": "campaign", "value": "spring"}],
}


def somebody_comes_by(said, name, part):
    """Take in a hit of the example's reader, long after the mail was sent."""
    Email.objects.update(sent_at=earlier())
    agent = CATALOGUE[name].example["data"][part]["userAgent"]
    row = hit(RequestFactory(headers={"User-Agent": agent}).get("/"), said)
    row.next_attempt_at = earlier()
    row.save()
    assert record_hits() == 1


@pytest.fixture
def email(api, domain, provider):
    """The email of all the examples, accepted."""
    answer = api.post("/emails", BODY)
    assert answer.status_code == 200, answer.json()
    return Email.objects.get(pk=answer.json()["id"])


def earlier():
    # A test may be one transaction, in which now() stands still.
    return timezone.now() - timedelta(minutes=1)


def send():
    Email.objects.update(next_attempt_at=earlier())
    send_due()


def ses_says(email, fixture, key="", **changes):
    """Take in SES's documented event, about our email and with the example's own particulars."""
    event = json.loads((FIXTURES / f"{fixture}.json").read_text())
    event["mail"]["destination"] = [GRACE]
    event["mail"]["tags"] = {"opensend_email_id": [str(email.pk)]}
    event.get(key, {}).update(changes)
    message = json.dumps(event).replace("recipient@example.com", GRACE)
    ProviderEvent.objects.create(
        source="ses",
        event_id=str(uuid4()),
        next_attempt_at=earlier(),
        body=json.dumps({"Type": "Notification", "Message": message}),
    )
    assert process_due() == 1


def test_scheduled(api, domain):
    api.post("/emails", BODY | {"scheduled_at": "tomorrow at 7am"})
    assert_like_example("email.scheduled")


def test_sent(email):
    send()
    assert_like_example("email.sent")


@pytest.mark.parametrize(
    ("name", "fixture"),
    [
        ("email.delivered", "delivery"),
        ("email.delivery_delayed", "delivery_delay"),
        ("email.bounced", "bounce_permanent_general"),
        ("email.failed", "reject"),
    ],
)
def test_what_ses_tells(email, name, fixture):
    send()
    ses_says(email, fixture)
    assert_like_example(name)


def test_complained(email):
    send()
    feedback = CATALOGUE["email.complained"].example["data"]["complaint"]["feedbackId"]
    ses_says(email, "complaint_abuse", "complaint", feedbackId=feedback)
    assert_like_example("email.complained")


def test_opened(email):
    send()
    somebody_comes_by(Open(email.pk, email.recipients.get().pk), "email.opened", "open")
    assert_like_example("email.opened")


def test_clicked(email):
    send()
    link = CATALOGUE["email.clicked"].example["data"]["click"]["link"]
    said = Click(email.pk, email.recipients.get().pk, 1, 1, link)
    somebody_comes_by(said, "email.clicked", "click")
    assert_like_example("email.clicked")


def test_delayed(email, provider):
    reason = CATALOGUE["email.delayed"].example["data"]["delayed"]["reason"]
    provider.errors = [NotTaken(reason)]
    send()
    assert_like_example("email.delayed")


def test_suppressed(email, workspace):
    Suppression.objects.create(workspace=workspace, email=GRACE, origin="bounce")
    send()
    assert_like_example("email.suppressed")


def test_a_suppression_is_added_and_removed(email):
    send()
    ses_says(email, "bounce_permanent_general")
    assert_like_example("suppression.added")
    unsuppress(Suppression.objects.all())
    assert_like_example("suppression.removed")


def test_a_contact_is_created_by_unsubscribing(email):
    send()
    ses_says(email, "subscription_unsubscribe_all")
    assert_like_example("contact.created")


def test_a_contact_is_updated_by_unsubscribing(email, workspace):
    Contact.objects.create(workspace=workspace, email=GRACE, first_name="Grace", last_name="Hopper")
    send()
    ses_says(email, "subscription_unsubscribe_all")
    assert_like_example("contact.updated")
    assert not Event.objects.filter(type="contact.created").exists()


def test_a_contact_is_deleted(api, workspace):
    fields = {"email": GRACE, "first_name": "Grace", "last_name": "Hopper", "unsubscribed": True}
    Contact.objects.create(workspace=workspace, **fields)
    assert api.delete(f"/contacts/{GRACE}").status_code == 200
    assert_like_example("contact.deleted")
