"""`scheduled_at`: parsing, sending when it is due, and rescheduling."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from contacts.models import Suppression
from core.queue.queues import Batch
from core.times import from_iso, iso
from emails.models import Email
from emails.schedule_parsing import parse_scheduled_at
from emails.sending.loop import send_due

NOW = datetime(2026, 11, 21, 15, 36, 48, tzinfo=UTC)  # a Saturday


def in_hours(number):
    return iso(timezone.now() + timedelta(hours=number))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-22T10:00:00Z", "2026-11-22T10:00:00Z"),
        ("2026-11-22T10:00:00.123+02:00", "2026-11-22T08:00:00.123Z"),
        ("in 1 hour", "2026-11-21T16:36:48Z"),
        ("In  an hour and 30 minutes", "2026-11-21T17:06:48Z"),
        ("2 days from now", "2026-11-23T15:36:48Z"),
        ("in 30 days", "2026-12-21T15:36:48Z"),
        ("tomorrow at 9am", "2026-11-22T09:00:00Z"),
        ("tomorrow at 9am UTC", "2026-11-22T09:00:00Z"),
        ("tomorrow at 9am +02:00", "2026-11-22T07:00:00Z"),
        ("tomorrow at 9am Europe/Berlin", "2026-11-22T08:00:00Z"),
        ("Friday at 5 pm", "2026-11-27T17:00:00Z"),
        ("next monday, 17:30", "2026-11-23T17:30:00Z"),
        ("december 3rd at noon America/New_York", "2026-12-03T17:00:00Z"),
        ("9am", "2026-11-22T09:00:00Z"),
    ],
)
def test_a_time_is_parsed(text, expected):
    assert parse_scheduled_at(text, now=NOW) == from_iso(expected)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "ISO 8601"),
        ("a", "ISO 8601"),
        ("may", "ISO 8601"),
        ("10", "ISO 8601"),
        ("1795276800", "ISO 8601"),
        ("tomorrow at 25:00", "ISO 8601"),
        ("tomorrow at 9", "ISO 8601"),
        ("november 31 at 9am", "ISO 8601"),
        ("tomorrow at 9am IST", "ISO 8601"),
        ("tomorrow at 9am Mars/Base", "ISO 8601"),
        ("tomorrow at 9am ../../etc/passwd", "ISO 8601"),
        ("tomorrow at 9am +99:99", "ISO 8601"),
        ("in 1 hour or so", "ISO 8601"),
        ("morgen um 9 Uhr", "ISO 8601"),
        ("in 999999 months", "ISO 8601"),
        ("2026-11-22T10:00:00", "zone"),
        ("2026-13-22T10:00:00Z", "ISO 8601"),
        ("today at 9am", "in the future"),
        ("2026-11-21T15:36:42Z", "in the future"),
        ("in 31 days", "30 days"),
        ("2026-12-22T00:00:00Z", "30 days"),
        ("in 1 hour" + " " * 100, "100 characters"),
    ],
)
def test_an_invalid_time_says_why(text, problem):
    with pytest.raises(ValueError, match=problem):
        parse_scheduled_at(text, now=NOW)


def test_clock_skew_of_a_few_seconds_is_tolerated():
    assert parse_scheduled_at("2026-11-21T15:36:44Z", now=NOW) < NOW
    assert parse_scheduled_at("2026-12-21T15:36:52Z", now=NOW) > NOW + timedelta(days=30)


@pytest.mark.django_db
def test_a_scheduled_email_waits_for_its_time(send, api, provider, published):
    at = in_hours(2)

    answer = send(scheduled_at=at)

    assert answer.status_code == 200
    email = Email.objects.get(pk=answer.json()["id"])
    assert (email.status, iso(email.scheduled_at), iso(email.next_attempt_at)) == (
        "scheduled",
        at,
        at,
    )
    ((kind, data),) = published()
    assert (kind, data["email_id"], data["scheduled_at"]) == ("email.scheduled", str(email.pk), at)
    assert send_due().claimed == 0
    shown = api.get(f"/emails/{email.pk}").json()
    assert (shown["status"], shown["last_event"]) == ("scheduled", "scheduled")
    assert shown["scheduled_at"] == at
    assert [each["status"] for each in shown["recipients"]] == ["scheduled"]


@pytest.mark.django_db
def test_a_scheduled_email_is_sent_when_it_is_due(send, provider, published):
    email_id = send(scheduled_at="in 1 hour").json()["id"]
    Email.objects.update(next_attempt_at=timezone.now() - timedelta(minutes=1))

    assert send_due().claimed == 1

    assert Email.objects.get(pk=email_id).status == "sent"
    assert [kind for kind, _ in published()] == ["email.scheduled", "email.sent"]


@pytest.mark.django_db
@pytest.mark.parametrize("value", ["yesterday", "2020-01-01T00:00:00Z", 5, True, {"at": 1}])
def test_an_invalid_time_is_rejected_by_field(value, send):
    answer = send(scheduled_at=value)

    assert (answer.status_code, answer.json()["name"]) == (422, "validation_error")
    assert list(answer.json()["details"]["fields"]) == ["scheduled_at"]
    assert not Email.objects.exists()


@pytest.mark.django_db
def test_a_recipient_suppressed_after_accept_gets_nothing(send, workspace, provider):
    send(scheduled_at="in 1 hour")
    Suppression.objects.create(workspace=workspace, email="bob@example.net", origin="bounce")
    Email.objects.update(next_attempt_at=timezone.now() - timedelta(minutes=1))

    assert send_due() == Batch(claimed=1, processed=1)

    assert (Email.objects.get().status, provider.sent) == ("suppressed", [])


@pytest.mark.django_db
def test_an_email_without_deliverable_recipients_is_not_scheduled(send, workspace, published):
    Suppression.objects.create(workspace=workspace, email="bob@example.net", origin="bounce")

    assert send(scheduled_at="in 1 hour").json()["name"] == "recipient_suppressed"

    email = Email.objects.get()
    assert (email.status, email.next_attempt_at) == ("suppressed", None)
    assert [kind for kind, _ in published()] == ["email.suppressed"]


@pytest.mark.django_db
def test_a_batch_may_contain_scheduled_emails(api, domain, message, published):
    items = [message, message | {"scheduled_at": "in 2 hours"}]

    answer = api.post("/emails/batch", items)

    now, later = (Email.objects.get(pk=each["id"]) for each in answer.json()["data"])
    assert (now.status, later.status) == ("queued", "scheduled")
    assert [data["email_id"] for _, data in published("email.scheduled")] == [str(later.pk)]


@pytest.mark.django_db
def test_an_email_can_be_rescheduled_repeatedly(send, api, published):
    first, second = in_hours(2), in_hours(1)
    email_id = send(scheduled_at=first).json()["id"]

    for at in (second, first):
        answer = api.patch(f"/emails/{email_id}", {"id": email_id, "scheduled_at": at})

        assert answer.status_code == 200
        assert answer.json() == {"object": "email", "id": email_id}
        email = Email.objects.get()
        assert (iso(email.scheduled_at), iso(email.next_attempt_at)) == (at, at)
    times = [data["scheduled_at"] for _, data in published("email.scheduled")]
    assert times == [first, second, first]


@pytest.mark.django_db
@pytest.mark.parametrize(
    "body", [{"scheduled_at": "2020-01-01T00:00:00Z"}, {"scheduled_at": None}, {}, {"html": "x"}]
)
def test_an_invalid_new_time_changes_nothing(body, send, api, published):
    at = in_hours(2)
    email_id = send(scheduled_at=at).json()["id"]

    answer = api.patch(f"/emails/{email_id}", body)

    assert answer.status_code == 422
    assert "scheduled_at" in answer.json()["details"]["fields"]
    assert iso(Email.objects.get().scheduled_at) == at
    assert len(published()) == 1


@pytest.mark.django_db
@pytest.mark.parametrize("status", ["queued", "sending", "unknown"])
def test_an_unscheduled_email_cannot_be_rescheduled(status, send, api, published):
    email_id = send().json()["id"]
    Email.objects.update(status=status)

    answer = api.patch(f"/emails/{email_id}", {"scheduled_at": "in 1 hour"})

    assert (answer.status_code, answer.json()["name"]) == (409, "email_not_scheduled")
    assert answer.json()["details"] == {"status": status}
    assert Email.objects.get().scheduled_at is None
    assert not published()


@pytest.mark.django_db
def test_another_workspace_cannot_reschedule(send, stranger):
    email_id = send(scheduled_at="in 1 hour").json()["id"]

    answer = stranger.patch(f"/emails/{email_id}", {"scheduled_at": "in 2 hours"})

    assert answer.status_code == 404
