"""Mail on its way, and providers that answer what a test tells them."""

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
    """`send(to=..., ...)` posts the message with changes; None takes a field away."""

    def post(**changes):
        changed = {"from" if name == "sender" else name: each for name, each in changes.items()}
        whole = {name: each for name, each in (message | changed).items() if each is not None}
        return api.post("/emails", whole)

    return post


@pytest.fixture
def accepted(send):
    """The row of an email that was just accepted and is due."""
    from emails.models import Email

    def accept(**changes):
        answer = send(**changes)
        assert answer.status_code == 200, answer.json()
        # A test may be one transaction, in which now() stands still.
        rows = Email.objects.filter(pk=answer.json()["id"])
        rows.update(next_attempt_at=timezone.now() - timedelta(seconds=1))
        return rows.get()

    return accept


@pytest.fixture
def provider(settings):
    """The provider of this test."""
    settings.EMAIL_PROVIDER = "scripted_provider.Scripted"
    get_provider.cache_clear()
    yield get_provider()
    get_provider.cache_clear()


@pytest.fixture
def published(db):
    """(type, data) of the events published so far, oldest first."""
    from events.models import Event

    def read(*types):
        rows = Event.objects.order_by("pk")
        return [(row.type, row.data()) for row in rows if not types or row.type in types]

    return read
