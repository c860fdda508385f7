"""The request id of an email is in its events and in the logs about it."""

import pytest
from django.db.models.functions import Now

from emails.models import Email
from emails.providers import Refused
from emails.sending.loop import send_due
from events.models import Event

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def email(api, domain, message, provider):
    """The row of an email accepted by the request trace-me-1."""
    answer = api.post("/emails", message, headers={"x-request-id": "trace-me-1"})
    assert answer["x-request-id"] == "trace-me-1"
    Email.objects.update(next_attempt_at=Now())
    return Email.objects.get()


def test_events_published_by_a_worker_have_the_request_id(email, provider):
    assert email.request_id == "trace-me-1"
    provider.script = [Refused("no such thing")]

    send_due()

    assert Event.objects.values_list("type", "request_id").get() == ("email.failed", "trace-me-1")


def test_each_fact_is_logged_with_the_request_id(email, log_lines):
    lines = log_lines("emails.facts.record")

    send_due()

    [line] = lines
    assert (line["level"], line["message"]) == ("DEBUG", "Email fact recorded")
    assert (line["request_id"], line["email"], line["type"]) == (
        "trace-me-1",
        str(email.pk),
        "sent",
    )


def test_an_unexpected_send_error_is_logged_with_the_request_id(email, provider, log_lines):
    lines = log_lines("emails.sending.loop")
    provider.script = [KeyError("MessageId")]

    send_due()

    [line] = lines
    assert (line["level"], line["request_id"]) == ("ERROR", "trace-me-1")
