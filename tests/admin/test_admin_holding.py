"""Operators hold mail and release it."""

import pytest
from django.urls import reverse

from emails.admin import overdue_alert, unknown_alert
from emails.models import Email

pytestmark = pytest.mark.django_db

LATER = "2126-01-01T00:00Z"
LONG_AGO = "2026-01-01T00:00Z"


def press(client, action, *records):
    """The messages that the page shows after a confirmed action on these records."""
    form = {"action": action, "index": "0", "_selected_action": [each.pk for each in records]}
    form["confirmed"] = "yes"
    page = client.post(reverse("admin:emails_email_changelist"), form, follow=True)
    return [str(message) for message in page.context["messages"]]


def test_an_operator_holds_and_releases_mail(operator, make_email):
    queued = make_email(status="queued", next_attempt_at=LATER)
    scheduled = make_email(status="scheduled", scheduled_at=LATER, next_attempt_at=LATER)
    done = make_email()

    assert press(operator, "hold", queued, scheduled, done) == ["2 emails held."]
    held = Email.objects.filter(status="held")
    assert set(held) == {queued, scheduled}
    assert {email.hold_reason for email in held} == {"Held by an operator."}

    assert press(operator, "release", queued, scheduled, done) == ["2 emails released."]
    statuses = Email.objects.order_by("pk").values_list("status", flat=True)
    assert list(statuses) == ["queued", "scheduled", "delivered"]
    assert press(operator, "release", queued) == ["0 emails released."]


def test_only_operators_hold_mail(clerk, make_email):
    email = make_email(status="queued", next_attempt_at=LATER)
    form = {"action": "hold", "index": "0", "_selected_action": [email.pk], "confirmed": "yes"}
    clerk.post(reverse("admin:emails_email_changelist"), form)
    email.refresh_from_db()
    assert email.status == "queued"


def test_held_mail_is_found_and_says_why(operator, make_email):
    held = make_email(
        status="held", next_attempt_at=LATER, owner="inbox:1", hold_reason="Suspended."
    )
    make_email()

    page = operator.get(reverse("admin:emails_email_changelist") + "?status__exact=held")
    assert list(page.context["cl"].result_list) == [held]

    page = operator.get(reverse("admin:emails_email_change", args=[held.pk])).content.decode()
    assert "inbox:1" in page
    assert "Suspended." in page


def test_alerts_count_overdue_and_unknown_mail(make_email):
    make_email(status="held", next_attempt_at=LONG_AGO)
    make_email(status="held", next_attempt_at=LATER)
    make_email(status="unknown")
    assert (overdue_alert().count, unknown_alert().count) == (1, 1)
