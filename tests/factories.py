"""Rows that tests of several folders need, each with what its table requires."""

import json
from datetime import timedelta
from uuid import uuid4

from django.db import transaction
from django.utils import timezone

from core.db.ids import uuid7
from core.outbound import Outcome
from domains.models import Domain
from emails.models import Email
from events.catalogue import CATALOGUE
from events.dispatch import dispatch_due
from events.models import Event
from events.services import Fact, publish
from ingest.models import ProviderEvent
from webhooks.dispatch.results import Result
from webhooks.models import Delivery
from webhooks.services import create_endpoint

SES_TOPIC = "arn:aws:sns:us-east-1:123456789012:opensend-events"


def verified_domain(workspace, name="example.com", **fields):
    """A domain that may send, without an SES identity."""
    fields = {"ses_configuration_set_name": "opensend", "dkim_tokens": ["a", "b", "c"]} | fields
    return Domain.objects.create(
        workspace=workspace,
        name=name,
        status=Domain.Status.VERIFIED,
        region=fields.pop("region", "us-east-1"),
        next_attempt_at=None,
        **fields,
    )


def unsaved_email(**fields):
    """An email that is not in the database, for what only reads its fields."""
    defaults = {
        "id": uuid7(),
        "sender": "Ada <ada@example.com>",
        "to": ["bob@example.net"],
        "subject": "Hello",
        "text": "Hello Bob",
    }
    return Email(**defaults | fields)


def create_email(workspace, **fields):
    """The row of an email, without recipients; `fields` decide how far its sending got."""
    pk = uuid7()
    defaults = {
        "sender": "Ada <ada@example.com>",
        "to": ["bob@example.org"],
        "subject": "Hello",
        "text": "Hello",
        "region": "us-east-1",
        "message_id": f"<{pk}@example.com>",
    }
    return Email.objects.create(id=pk, workspace=workspace, **defaults | fields)


def endpoint_at(url, workspace, *, event_types=("*",), **fields):
    """An endpoint at this URL, with its `signing_secret`."""
    endpoint, secret = create_endpoint(
        workspace=workspace, url=url, event_types=list(event_types), **fields
    )
    endpoint.signing_secret = secret
    return endpoint


def create_deliveries(endpoint, count=1, **fields):
    """Deliveries to the endpoint, each with its own event, which is dispatched."""
    deliveries = []
    for _ in range(count):
        event = Event.objects.create(
            workspace=endpoint.workspace, type="contact.created", body="{}", next_attempt_at=None
        )
        deliveries.append(Delivery.objects.create(endpoint=endpoint, event=event, **fields))
    return deliveries


def delivery_result(job, status=200):
    """The result of a request that the endpoint answered with this status."""
    outcome = Outcome(
        status=status,
        error=None,
        message="",
        body=b"",
        truncated=False,
        duration_ms=1,
        address="127.0.0.1",
    )
    return Result(job=job, outcome=outcome, at=timezone.now())


def example_fact(workspace, kind="contact.created", data=None, **ids):
    """A fact with the catalogue's example, changed by `data`; `ids` are the fact's own."""
    return Fact(kind, workspace.pk, CATALOGUE[kind].example_data() | (data or {}), **ids)


def publish_committed(facts):
    """Publish the facts in a transaction; returns the events, which are not dispatched yet."""
    with transaction.atomic():
        return publish(facts)


def dispatch_all():
    """Run the subscribers of every due event."""
    while dispatch_due().claimed:
        pass


def store_ses_events(*events, **fields):
    """Store events of SES, each a dict or text, as if SNS had posted them; the rows are due."""
    return ProviderEvent.objects.bulk_create(
        ProviderEvent(
            source="ses",
            event_id=str(uuid4()),
            topic_arn=SES_TOPIC,
            body=sns_notification(event),
            # now() is constant in a transaction, and a test may be one transaction.
            next_attempt_at=timezone.now() - timedelta(days=1),
            **fields,
        )
        for event in events
    )


def sns_notification(event):
    """The body in which SNS posts an event of SES, a dict or text."""
    message = event if isinstance(event, str) else json.dumps(event) + "\n"
    return json.dumps({"Type": "Notification", "Message": message})


def ses_send_event(mail, at="2026-03-01T12:00:00.000Z"):
    """The Send event of SES about a mail that the twin accepted."""
    return {
        "eventType": "Send",
        "send": {},
        "mail": {
            "timestamp": at,
            "messageId": mail["id"],
            "destination": mail["envelope"]["to"],
            "tags": {name: [value] for name, value in mail["tags"].items()},
        },
    }
