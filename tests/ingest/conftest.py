"""Sent emails and the SES events about them."""

import json
from pathlib import Path

import pytest

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
    from emails.models import EmailRecipient
    from tests.factories import create_email

    def make(
        *,
        to=("recipient@example.com", "other@example.com"),
        workspace=workspace,
        status="sent",
        provider_message_id=MESSAGE_ID,
        **fields,
    ):
        is_sending = status in ("queued", "sending", "unknown")
        email = create_email(
            workspace,
            sender="Sender Name <sender@example.com>",
            to=list(to),
            status=status,
            tags={"campaign": "spring"},
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
    from tests.factories import store_ses_events

    return store_ses_events


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
