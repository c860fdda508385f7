"""Fixtures for accepted emails and scripted providers."""

from datetime import timedelta

import pytest
from django.utils import timezone

from emails.providers import get_provider


@pytest.fixture
def message():
    """A body for `POST /emails`."""
    return {
        "from": "Ada <ada@example.com>",
        "to": "bob@example.net",
        "subject": "Hello",
        "text": "Hello Bob",
    }


@pytest.fixture
def send(api, domain, message):
    """`send(to=..., ...)` posts the message with changes; None removes a field."""

    def post(**changes):
        changed = {"from" if name == "sender" else name: each for name, each in changes.items()}
        body = {name: each for name, each in (message | changed).items() if each is not None}
        return api.post("/emails", body)

    return post


@pytest.fixture
def accepted(send):
    """`accepted(...)` posts a message; the row of the accepted email, which is due."""
    from emails.models import Email

    def accept(**changes):
        answer = send(**changes)
        assert answer.status_code == 200, answer.json()
        # now() does not advance within a transaction, and a test may be one.
        rows = Email.objects.filter(pk=answer.json()["id"])
        rows.update(next_attempt_at=timezone.now() - timedelta(seconds=1))
        return rows.get()

    return accept


@pytest.fixture
def provider(settings):
    """A scripted provider for this test."""
    settings.EMAIL_PROVIDER = "tests.emails.scripted_provider.Scripted"
    get_provider.cache_clear()
    yield get_provider()
    get_provider.cache_clear()


@pytest.fixture
def published(db):
    """`published(*types)`: (type, data) of the events published so far, oldest first."""
    from events.models import Event

    def read(*types):
        rows = Event.objects.order_by("pk")
        return [(row.type, row.data()) for row in rows if not types or row.type in types]

    return read
