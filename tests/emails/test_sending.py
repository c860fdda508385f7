"""The send loop: retries, giving up, leases, fairness and crashes."""

import math
import os
import time
from collections import Counter
from datetime import timedelta

import pytest
from django.db import connection, connections
from django.db.models import F
from django.utils import timezone

from accounts.services import create_workspace
from contacts.models import Suppression
from core.queue.queues import Batch
from core.queue.worker_loop import stopping
from emails.models import Email, EmailEvent
from emails.providers import Accepted, NotTaken, OutcomeUnknown, QuotaExceeded, Refused
from emails.sending import loop, send_results
from emails.sending.loop import send_due
from emails.sending.send_results import BACKOFF, SendResult, resolve_unknown, save_results
from emails.tasks import send_due_emails
from ingest.processing import process_ses
from tests.database import another_connection, make_due, run_at_once
from tests.factories import store_ses_events

LONG_AGO = "2026-01-01T00:00Z"


def process_event(email, kind="Send", recipients=()):
    """Process an event of SES that identifies the email by its tag."""
    event = {
        "eventType": kind,
        "mail": {
            "timestamp": "2026-03-01T12:00:00.000Z",
            "messageId": "0100-theirs",
            "tags": {"opensend_email_id": [str(email.pk)]},
        },
        "send": {},
        "bounce": {
            "timestamp": "2026-03-01T12:00:01.000Z",
            "bounceType": "Permanent",
            "bouncedRecipients": [{"emailAddress": each} for each in recipients],
        },
        "open": {"timestamp": "2026-03-01T12:00:02.000Z"},
    }
    store_ses_events(event)
    assert process_ses().claimed == 1


@pytest.mark.django_db
def test_an_accepted_email_is_sent(accepted, provider, published):
    email = accepted()

    assert send_due().claimed == 1

    (sent,) = provider.sent
    assert (sent.email_id, sent.sender) == (str(email.pk), "ada@example.com")
    assert (sent.region, sent.configuration_set) == ("us-east-1", "opensend")
    email.refresh_from_db()
    assert (email.status, email.next_attempt_at) == ("sent", None)
    assert email.provider_message_id == f"0100-{email.pk}"
    assert email.message_id == f"<0100-{email.pk}@email.amazonses.com>"
    assert f"0100-{email.pk}" in email.provider_response
    assert email.sent_at is not None
    ((kind, data),) = published()
    assert (kind, data["message_id"]) == ("email.sent", email.message_id)
    assert send_due().claimed == 0


@pytest.mark.django_db
def test_a_pass_counts_what_is_done_and_what_is_not(accepted, provider):
    for number in range(4):
        accepted(to=[f"r{number}@example.net"])
    provider.script = [None, Refused("no"), NotTaken("503"), OutcomeUnknown("Read timeout")]

    assert send_due() == Batch(claimed=4, processed=2, failed=2)


@pytest.mark.django_db
def test_a_pass_claims_no_more_after_its_time_and_finishes_what_is_in_flight(
    accepted, provider, settings
):
    settings.SEND_CONCURRENCY = 2
    for _ in range(6):
        accepted()
    provider.script = [lambda _: time.sleep(0.4)] * 6

    assert send_due(seconds=0.2) == Batch(claimed=2, processed=2)

    statuses = Counter(Email.objects.values_list("status", flat=True))
    assert statuses == {"sent": 2, "queued": 4}
    assert send_due(seconds=0) == Batch(0)


@pytest.mark.django_db
def test_a_task_sends_until_nothing_is_due(monkeypatch):
    asked = []
    monkeypatch.setattr(loop, "send_due", lambda seconds: asked.append(seconds) or Batch(0))

    assert send_due_emails() == 0

    assert asked == [math.inf]


@pytest.mark.django_db
def test_a_send_event_of_ses_publishes_no_second_sent(accepted, provider, published):
    email = accepted()
    send_due()

    process_event(email)

    assert [kind for kind, _ in published()] == ["email.sent"]


@pytest.mark.django_db
def test_a_send_event_may_precede_the_answer(accepted, provider, published):
    email = accepted()
    Email.objects.update(status="sending", claims=1)
    claimed = Email.objects.get()
    process_event(email)
    email.refresh_from_db()
    assert (email.status, email.next_attempt_at) == ("sent", None)

    receipt = Accepted(
        provider_message_id="0100-theirs", message_id="<x@y>", provider_response={"a": "b"}
    )
    save_results([SendResult(claimed, receipt)])

    email.refresh_from_db()
    assert (email.status, email.provider_message_id) == ("sent", "0100-theirs")
    assert email.provider_response == '{"a":"b"}'
    assert [kind for kind, _ in published()] == ["email.sent"]


@pytest.mark.django_db
def test_a_temporary_error_is_retried_and_published_once_an_hour(accepted, provider, published):
    email = accepted()
    provider.script = [NotTaken("Maximum sending rate exceeded.")] * 3

    for expected in (1, 1, 2):
        send_due()
        assert len(published("email.delayed")) == expected
        email.refresh_from_db()
        assert email.status == "queued"
        assert email.next_attempt_at > timezone.now()
        assert email.last_error == "Maximum sending rate exceeded."
        make_due(Email)
        if expected == 1 and len(provider.sent) == 2:
            an_hour_ago = email.delay_published_at - timedelta(minutes=61)
            Email.objects.update(delay_published_at=an_hour_ago)
    assert published("email.delayed")[0][1]["delayed"]["reason"] == "Maximum sending rate exceeded."
    send_due()

    email.refresh_from_db()
    assert (email.status, email.last_error) == ("sent", "")


@pytest.mark.parametrize("attempt", [1, 2, 5, 8, 9, 50, 10_000])
def test_backoff_doubles_from_5_seconds_to_15_minutes(attempt):
    ceiling = min(5 * 2 ** min(attempt - 1, 30), 900)
    pauses = [BACKOFF.after(attempt).total_seconds() for _ in range(300)]

    assert min(pauses) >= 1
    assert ceiling / 2 < max(pauses) <= ceiling


@pytest.mark.django_db
def test_a_permanent_error_fails_at_once(accepted, provider, published):
    email = accepted(cc="carla@example.net")
    provider.script = [Refused("Email address is not verified.")]

    send_due()

    email.refresh_from_db()
    assert (email.status, email.next_attempt_at) == ("failed", None)
    assert email.last_error == "Email address is not verified."
    assert set(email.recipients.values_list("status", flat=True)) == {"failed"}
    ((kind, data),) = published()
    assert kind == "email.failed"
    assert data["failed"]["reason"] == "Email address is not verified."


@pytest.mark.django_db
@pytest.mark.parametrize(("hours", "status"), [(23, "queued"), (25, "failed")])
def test_retries_end_after_a_day(hours, status, accepted, provider, published):
    email = accepted()
    since = timezone.now() - timedelta(hours=hours)
    Email.objects.update(first_attempt_at=since, created_at=since)
    provider.script = [NotTaken("still throttled")]

    send_due()

    email.refresh_from_db()
    assert email.status == status
    assert bool(published("email.failed")) == (status == "failed")


def pass_time(email):
    """Move the times of the email back until it is due."""
    email.refresh_from_db()
    waited = max(email.next_attempt_at - timezone.now(), timedelta(0))
    times = ("first_attempt_at", "unknown_since", "delay_published_at")
    Email.objects.update(**{name: F(name) - waited for name in times}, next_attempt_at=LONG_AGO)
    return waited


@pytest.mark.django_db
def test_unknown_sends_are_retried_with_growing_grace_and_then_fail(accepted, provider, published):
    email = accepted()
    provider.script = [OutcomeUnknown("Read timeout")] * 100
    waits = []

    while send_due().claimed:
        email.refresh_from_db()
        assert (email.status, email.last_error) == ("unknown", "Read timeout")
        waits.append(pass_time(email))
        assert resolve_unknown().claimed == 1

    minutes = [round(wait.total_seconds() / 60) for wait in waits]
    # Each grace also doubles the time that the test itself took so far.
    assert minutes == pytest.approx([10, 10, 20, 40, 80, 160, 320, 640, 1280], rel=0.01)
    email.refresh_from_db()
    assert (email.status, email.next_attempt_at) == ("failed", None)
    delayed = published("email.delayed")
    assert len(delayed) == 6  # at most one per hour
    assert delayed[0][1]["delayed"]["reason"] == "Read timeout"
    ((_, data),) = published("email.failed")
    assert "never confirmed" in data["failed"]["reason"]


@pytest.mark.django_db
def test_the_grace_doubles_when_a_worker_crashes_again(accepted, settings):
    email = accepted()
    for _ in range(2):
        Email.objects.update(status="sending", next_attempt_at=LONG_AGO)
        assert resolve_unknown().claimed == 1
        pass_time(email)
        assert resolve_unknown().claimed == 1
    Email.objects.update(status="sending", next_attempt_at=LONG_AGO)
    resolve_unknown()

    email.refresh_from_db()
    left = email.next_attempt_at - timezone.now()
    assert left.total_seconds() == pytest.approx(1200, abs=30)


@pytest.mark.django_db
def test_expired_unknown_sends_fail_in_batches_and_are_not_sent_again(
    accepted, provider, monkeypatch
):
    monkeypatch.setattr(send_results, "_GIVE_UP_BATCH", 2)
    for _ in range(3):
        accepted()
    Email.objects.update(status="unknown", first_attempt_at=LONG_AGO, next_attempt_at=LONG_AGO)

    assert (resolve_unknown().claimed, send_due().claimed) == (2, 0)
    assert (resolve_unknown().claimed, send_due().claimed) == (1, 0)

    assert set(Email.objects.values_list("status", flat=True)) == {"failed"}
    assert not provider.sent


@pytest.mark.django_db
def test_an_exceeded_quota_is_no_attempt(accepted, provider):
    email = accepted()
    provider.script = [QuotaExceeded("daily_quota"), NotTaken("503")]
    send_due()
    email.refresh_from_db()
    assert (email.status, email.first_attempt_at) == ("queued", None)
    a_day_ago = timezone.now() - timedelta(hours=25)
    Email.objects.update(created_at=a_day_ago)
    make_due(Email)

    send_due()

    email.refresh_from_db()
    assert (email.status, email.last_error) == ("queued", "503")


@pytest.mark.django_db
def test_slow_attachments_defer_the_send_instead_of_outliving_the_lease(
    accepted, provider, monkeypatch
):
    email = accepted(attachments=[{"filename": "a.txt", "content": "YQ=="}])
    monkeypatch.setattr(loop, "PREPARE_SHARE", -1)

    send_due()

    email.refresh_from_db()
    assert (email.status, provider.sent) == ("queued", [])
    assert email.last_error == "Reading the attachments took too long."


@pytest.mark.django_db
def test_an_unexpected_exception_of_a_provider_is_retried(accepted, provider, caplog):
    email = accepted()
    provider.script = [KeyError("MessageId")]

    send_due()

    email.refresh_from_db()
    assert (email.status, email.last_error) == ("queued", "'MessageId'")


@pytest.mark.django_db
@pytest.mark.parametrize("result", [NotTaken("x"), OutcomeUnknown("x"), Refused("x")])
def test_a_worker_that_lost_its_lease_changes_nothing(result, accepted, published):
    accepted()
    Email.objects.update(status="sending", claims=1)
    stale = Email.objects.get()
    Email.objects.update(claims=2)
    before = Email.objects.values().get()

    save_results([SendResult(stale, result)])

    assert Email.objects.values().get() == before
    assert not published()


@pytest.mark.django_db
def test_an_acceptance_is_saved_even_without_a_lease(accepted, published):
    accepted()
    Email.objects.update(status="sending", claims=1)
    stale = Email.objects.get()
    Email.objects.update(claims=2, status="queued")

    receipt = Accepted(provider_message_id="m", message_id="<m@x>", provider_response={})
    save_results([SendResult(stale, receipt)])

    email = Email.objects.get()
    assert (email.status, email.next_attempt_at, email.provider_message_id) == ("sent", None, "m")
    assert [kind for kind, _ in published()] == ["email.sent"]


@pytest.mark.django_db
def test_a_poisoned_email_fails(accepted, provider, published):
    email = accepted()
    Email.objects.update(crashes=5)

    assert send_due() == Batch(claimed=1, processed=1)

    assert not provider.sent
    email.refresh_from_db()
    assert email.status == "failed"
    assert "worker crashed" in published("email.failed")[0][1]["failed"]["reason"]


@pytest.mark.django_db
def test_ten_thousand_emails_of_one_workspace_do_not_delay_another_workspace(
    accepted, provider, settings, workspace
):
    original = accepted()
    other = create_workspace(name="Bob's")
    insert_copies(original, 10_000)
    late = accepted()
    Email.objects.filter(pk=late.pk).update(workspace=other)
    settings.SEND_CONCURRENCY = 32
    provider.script = [None] * 63 + [lambda _: stopping.set()]

    try:
        send_due()
    finally:
        stopping.clear()

    # The newest email is among the first ones sent nevertheless.
    assert str(late.pk) in [sent.email_id for sent in provider.sent[:32]]
    assert len(provider.sent) < 200


def insert_copies(email, count):
    """Insert due copies of an email that are older than it."""
    columns = [field.column for field in Email._meta.concrete_fields]
    copied = ", ".join(f'"{name}"' for name in columns if name not in ("id", "next_attempt_at"))
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO emails (id, next_attempt_at, {copied})"
            f" SELECT gen_random_uuid(), next_attempt_at - interval '1 hour', {copied}"
            f" FROM emails, generate_series(1, {count}) WHERE id = %s",
            [email.pk],
        )
        cursor.execute(
            "INSERT INTO email_recipients (id, email_id, kind, address, status, detail)"
            " SELECT gen_random_uuid(), id, 'to', 'bob@example.net', 'queued', '' FROM emails"
            " WHERE id <> %s",
            [email.pk],
        )


@pytest.mark.django_db(transaction=True)
def test_two_workers_never_send_an_email_twice(accepted, provider):
    insert_copies(accepted(), 150)
    run_at_once(send_due, send_due)

    assert set(Counter(sent.email_id for sent in provider.sent).values()) == {1}
    assert len(provider.sent) == 151
    assert set(Email.objects.values_list("status", flat=True)) == {"sent"}
    assert EmailEvent.objects.filter(type="sent").count() == 151


@pytest.fixture
def crashed_send(accepted, provider):
    """An email whose worker, a real process, crashed after the provider call, before its commit."""
    email = accepted(cc="carla@example.net")
    connections.close_all()
    provider.script = [lambda _: os._exit(7)]
    child = os.fork()
    if child == 0:
        try:
            send_due()
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    provider.script = []
    email.refresh_from_db()
    assert email.status == "sending"
    assert resolve_unknown().claimed == 0  # its lease has not expired
    make_due(Email)
    assert resolve_unknown().claimed == 1
    email.refresh_from_db()
    assert email.status == "unknown"
    assert timedelta(minutes=9) < email.next_attempt_at - timezone.now() <= timedelta(minutes=10)
    assert send_due().claimed == 0
    return email


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("kind", "recipients", "bounced"),
    [("Send", [], 0), ("Bounce", ["carla@example.net"], 1), ("Open", [], 0)],
)
def test_any_event_of_ses_resolves_an_unknown_send(
    kind, recipients, bounced, crashed_send, provider
):
    process_event(crashed_send, kind, recipients)

    crashed_send.refresh_from_db()
    assert (crashed_send.status, crashed_send.next_attempt_at) == ("sent", None)
    assert crashed_send.provider_message_id == "0100-theirs"
    statuses = Counter(crashed_send.recipients.values_list("status", flat=True))
    assert (statuses["bounced"], statuses["sent"]) == (bounced, 2 - bounced)
    make_due(Email)
    assert resolve_unknown().claimed == 0
    assert send_due().claimed == 0


@pytest.mark.django_db(transaction=True)
def test_an_unknown_send_is_repeated_when_there_is_no_event(crashed_send, provider, settings):
    settings.SEND_UNKNOWN_POLICY = "resend"
    make_due(Email)
    assert resolve_unknown().claimed == 1
    assert send_due().claimed == 1

    crashed_send.refresh_from_db()
    assert crashed_send.status == "sent"


@pytest.mark.django_db(transaction=True)
def test_an_unknown_send_can_be_held_for_an_operator(crashed_send, provider, settings):
    settings.SEND_UNKNOWN_POLICY = "hold"
    make_due(Email)
    assert resolve_unknown().claimed == 1
    assert resolve_unknown().claimed == 0
    assert send_due().claimed == 0
    crashed_send.refresh_from_db()
    assert (crashed_send.status, crashed_send.next_attempt_at) == ("unknown", None)

    process_event(crashed_send)

    crashed_send.refresh_from_db()
    assert crashed_send.status == "sent"


@pytest.mark.django_db(transaction=True)
def test_an_acceptance_survives_a_lost_database_connection(accepted, provider):
    email = accepted()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (ours,) = cursor.fetchone()

    def terminate_session(_):
        with another_connection() as other:
            other.execute("SELECT pg_terminate_backend(%s)", [ours])

    provider.script = [terminate_session]

    assert send_due().claimed == 1

    email.refresh_from_db()
    assert (email.status, len(provider.sent)) == ("sent", 1)


@pytest.mark.django_db
def test_a_claim_of_fully_suppressed_emails_does_not_stop_the_loop(
    accepted, provider, workspace, settings
):
    settings.SEND_CONCURRENCY = 2
    for number in range(5):
        email = accepted(to=[f"r{number}@example.net"])
        Email.objects.filter(pk=email.pk).update(next_attempt_at=LONG_AGO)
        Suppression.objects.create(
            workspace=workspace, email=f"r{number}@example.net", origin="manual"
        )
    last = accepted()

    assert send_due() == Batch(claimed=6, processed=6)

    assert [each.email_id for each in provider.sent] == [str(last.pk)]
    assert Email.objects.filter(status="suppressed").count() == 5
