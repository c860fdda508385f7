"""The catalogue's examples of email.*, suppression.* and contact.* equal real events."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from django.test import RequestFactory
from django.utils import timezone

from contacts.models import Contact, Suppression
from contacts.suppressions import unsuppress
from emails.facts.opens_and_clicks import record_hits
from emails.models import Email
from emails.providers import Accepted, NotTaken
from emails.sending.loop import send_due
from events.catalogue import CATALOGUE
from events.models import Event
from ingest.processing import process_ses
from tests.clients import email_provider
from tests.database import make_due
from tests.event_schemas import assert_like_example
from tests.factories import store_ses_events
from tracking.hits import hit
from tracking.tokens import Click, Open

FIXTURES = Path(__file__).parent.parent / "fixtures" / "ses"
GRACE = "grace@example.net"

pytestmark = pytest.mark.django_db


class Provider:
    """Accepts each message, or raises the next of `errors`."""

    name = "of-the-examples"

    def __init__(self):
        self.errors = []

    def bucket(self, region):
        return ""  # no rate limit

    def send(self, message):
        if self.errors:
            raise self.errors.pop()
        given = CATALOGUE["email.sent"].example["data"]["message_id"]
        return Accepted(provider_message_id="0100", message_id=given, provider_response={})


@pytest.fixture
def provider(settings):
    with email_provider(settings, f"{__name__}.Provider") as provider:
        yield provider


BODY = {
    "from": "Ada Lovelace <ada@example.com>",
    "to": f"Grace Hopper <{GRACE}>",
    "subject": "Your receipt",
    "text": "Thank you",
    "tags": [{"name": "campaign", "value": "spring"}],
}


def record_hit(token, name, part):
    """Record a hit with the example's user agent, long after the email was sent."""
    Email.objects.update(sent_at=one_minute_ago())
    agent = CATALOGUE[name].example["data"][part]["userAgent"]
    row = hit(RequestFactory(headers={"User-Agent": agent}).get("/"), token)
    row.next_attempt_at = one_minute_ago()
    row.save()
    assert record_hits().claimed == 1


@pytest.fixture
def email(api, domain, provider):
    """The accepted email that all examples are about."""
    response = api.post("/emails", BODY)
    assert response.status_code == 200, response.json()
    return Email.objects.get(pk=response.json()["id"])


def one_minute_ago():
    # now() is constant in a transaction, and a test may be one transaction.
    return timezone.now() - timedelta(minutes=1)


def send():
    make_due(Email)
    send_due()


def ingest_ses_event(email, fixture, key="", **changes):
    """Ingest a documented SES event about our email, with changes to its `key` object."""
    event = json.loads((FIXTURES / f"{fixture}.json").read_text())
    event["mail"]["destination"] = [GRACE]
    event["mail"]["tags"] = {"opensend_email_id": [str(email.pk)]}
    event.get(key, {}).update(changes)
    message = json.dumps(event).replace("recipient@example.com", GRACE)
    store_ses_events(message)
    assert process_ses().claimed == 1


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
def test_ses_events(email, name, fixture):
    send()
    ingest_ses_event(email, fixture)
    assert_like_example(name)


def test_complained(email):
    send()
    feedback = CATALOGUE["email.complained"].example["data"]["complaint"]["feedbackId"]
    ingest_ses_event(email, "complaint_abuse", "complaint", feedbackId=feedback)
    assert_like_example("email.complained")


def test_opened(email):
    send()
    record_hit(Open(email.pk, email.recipients.get().pk), "email.opened", "open")
    assert_like_example("email.opened")


def test_clicked(email):
    send()
    link = CATALOGUE["email.clicked"].example["data"]["click"]["link"]
    token = Click(email.pk, email.recipients.get().pk, 1, 1, link)
    record_hit(token, "email.clicked", "click")
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


def test_suppression_added_and_removed(email):
    send()
    ingest_ses_event(email, "bounce_permanent_general")
    assert_like_example("suppression.added")
    unsuppress(Suppression.objects.all())
    assert_like_example("suppression.removed")


def test_unsubscribing_creates_a_contact(email):
    send()
    ingest_ses_event(email, "subscription_unsubscribe_all")
    assert_like_example("contact.created")


def test_unsubscribing_updates_a_contact(email, workspace):
    Contact.objects.create(workspace=workspace, email=GRACE, first_name="Grace", last_name="Hopper")
    send()
    ingest_ses_event(email, "subscription_unsubscribe_all")
    assert_like_example("contact.updated")
    assert not Event.objects.filter(type="contact.created").exists()


def test_contact_deleted(api, workspace):
    fields = {"email": GRACE, "first_name": "Grace", "last_name": "Hopper", "unsubscribed": True}
    Contact.objects.create(workspace=workspace, **fields)
    assert api.delete(f"/contacts/{GRACE}").status_code == 200
    assert_like_example("contact.deleted")
