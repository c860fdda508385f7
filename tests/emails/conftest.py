"""Fixtures for accepted emails and scripted providers."""

import pytest

from tests.clients import email_provider


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
    from tests.database import make_due

    def accept(**changes):
        answer = send(**changes)
        assert answer.status_code == 200, answer.json()
        rows = Email.objects.filter(pk=answer.json()["id"])
        make_due(rows)
        return rows.get()

    return accept


@pytest.fixture
def provider(settings):
    """A scripted provider for this test."""
    with email_provider(settings, "tests.emails.scripted_provider.Scripted") as provider:
        yield provider
