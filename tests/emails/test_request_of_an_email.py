"""The id of the request that asked for an email goes wherever the email goes."""

import pytest
from django.db.models.functions import Now

from emails.models import Email
from emails.providers import Refused
from emails.sending.loop import send_due
from events.models import Event

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def email(api, domain, message, provider):
    """The row of an email that the request trace-me-1 asked for."""
    answer = api.post("/emails", message, headers={"x-request-id": "trace-me-1"})
    assert answer["x-request-id"] == "trace-me-1"
    Email.objects.update(next_attempt_at=Now())
    return Email.objects.get()


def test_what_a_worker_publishes_about_an_email_has_the_id_of_its_request(email, provider):
    assert email.request_id == "trace-me-1"
    provider.script = [Refused("no such thing")]

    send_due()

    assert Event.objects.values_list("type", "request_id").get() == ("email.failed", "trace-me-1")


def test_each_step_of_an_email_is_logged_for_who_asks(email, log_lines):
    lines = log_lines("emails.facts.record")

    send_due()

    [line] = lines
    assert (line["level"], line["message"]) == ("DEBUG", "An email went on")
    assert (line["request_id"], line["email"], line["type"]) == (
        "trace-me-1",
        str(email.pk),
        "sent",
    )


def test_a_send_that_broke_is_logged_with_the_request(email, provider, log_lines):
    lines = log_lines("emails.sending.loop")
    provider.script = [KeyError("MessageId")]

    send_due()

    [line] = lines
    assert (line["level"], line["request_id"]) == ("ERROR", "trace-me-1")
