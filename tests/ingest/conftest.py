"""Sent emails and the SES events about them."""

import json
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from django.utils import timezone

FIXTURES = Path(__file__).parent.parent / "fixtures" / "ses"
MESSAGE_ID = "EXAMPLE7c191be45-e9aedb9a-02f9-4d12-a87d-dd0099a07f8a-000000"
TOPIC = "arn:aws:sns:us-east-1:123456789012:opensend-events"


@pytest.fixture
def sample():
    """An example event from the SES developer guide: `sample("delivery")`."""
    return lambda name: json.loads((FIXTURES / f"{name}.json").read_text())


@pytest.fixture
def make_email(workspace):
    """Create an email that SES accepted, by default the one that the samples are about."""
    from core.db.ids import uuid7
    from emails.models import Email, EmailRecipient

    def make(
        *,
        to=("recipient@example.com", "other@example.com"),
        workspace=workspace,
        status="sent",
        provider_message_id=MESSAGE_ID,
        **fields,
    ):
        pk = uuid7()
        is_sending = status in ("queued", "sending", "unknown")
        email = Email.objects.create(
            id=pk,
            workspace=workspace,
            region="us-east-1",
            sender="Sender Name <sender@example.com>",
            to=list(to),
            subject="Hello",
            text="Hello",
            status=status,
            tags={"campaign": "spring"},
            message_id=f"<{pk}@example.com>",
            provider_message_id=provider_message_id,
            **{} if is_sending else {"next_attempt_at": None},
            **fields,
        )
        state = "queued" if is_sending else status
        EmailRecipient.objects.bulk_create(
            EmailRecipient(email=email, kind="to", address=each, status=state) for each in to
        )
        return email

    return make


@pytest.fixture
def store(db):
    """Store events as if SNS had posted them."""
    from ingest.models import ProviderEvent

    def store_events(*events):
        return ProviderEvent.objects.bulk_create(
            ProviderEvent(
                source="ses",
                # now() is constant in a transaction, and a test may be one transaction.
                next_attempt_at=timezone.now() - timedelta(days=1),
                event_id=str(uuid4()),
                topic_arn=TOPIC,
                body=json.dumps({"Type": "Notification", "Message": _message(event)}),
            )
            for event in events
        )

    return store_events


def _message(event):
    return event if isinstance(event, str) else json.dumps(event) + "\n"


@pytest.fixture
def ingest_events(store):
    """Store events and process them immediately."""
    from ingest.processing import process_ses

    def run(*events):
        rows = store(*events)
        assert process_ses().claimed == len(rows)
        for row in rows:
            row.refresh_from_db()
        return rows

    return run


@pytest.fixture
def published(db):
    """(type, data) of all published events, oldest first."""
    from events.models import Event

    def read(*types):
        rows = Event.objects.order_by("pk")
        return [(row.type, row.data()) for row in rows if not types or row.type in types]

    return read
