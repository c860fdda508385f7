"""Processing stored callbacks: unmatched, unparsable and poisoned ones, and worker crashes."""

import json
import os
import signal
import time
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import OperationalError, connections
from django.utils import timezone

from contacts.models import Contact
from emails.models import Email, EmailEvent, EmailRecipient
from events.models import Event
from ingest.models import ProviderEvent
from ingest.processing import process_ses
from ingest.processors import ses
from tests.database import make_due, statement_count


@pytest.fixture
def tagged(sample):
    """An event with our email id in its message tag."""

    def make(name, email, **mail):
        event = sample(name)
        event["mail"] |= {"messageId": f"0100-{email.pk}", "tags": {}} | mail
        event["mail"]["tags"] |= {"opensend_email_id": [str(email.pk)]}
        return event

    return make


@pytest.mark.parametrize("key", ["tag", "header", "message id"])
def test_an_email_is_matched_by_tag_header_or_message_id(key, sample, make_email, ingest_events):
    event, email = sample("delivery"), make_email()
    if key != "message id":
        event["mail"]["messageId"] = "another"
    if key == "tag":
        event["mail"]["tags"]["opensend_email_id"] = [str(email.pk)]
    if key == "header":
        header = {"name": "x-opensend-email-id", "value": f" {email.pk} "}
        event["mail"]["headers"].append(header)

    (row,) = ingest_events(event)

    assert (row.state, row.email_id, row.type) == ("processed", email.pk, "Delivery")


def test_an_unknown_tag_falls_back_to_the_message_id(sample, make_email, ingest_events):
    event, email = sample("delivery"), make_email()
    event["mail"]["tags"]["opensend_email_id"] = ["00000000-0000-7000-8000-000000000000"]

    (row,) = ingest_events(event)

    assert row.email_id == email.pk


def test_an_event_can_arrive_before_its_email_has_a_provider_id(sample, make_email, ingest_events):
    email = make_email(provider_message_id="")
    (row,) = ingest_events(sample("delivery"))
    assert (row.state, row.reason) == ("unmatched", "no email has this id")
    assert row.next_attempt_at > timezone.now()

    Email.objects.update(provider_message_id=sample("delivery")["mail"]["messageId"])
    make_due(ProviderEvent)
    process_ses()

    row.refresh_from_db()
    assert (row.state, row.email_id, row.next_attempt_at) == ("processed", email.pk, None)
    assert EmailEvent.objects.get().type == "delivered"


def test_an_unmatched_event_is_given_up_after_an_hour(sample, ingest_events):
    (row,) = ingest_events(sample("delivery"))
    make_due(ProviderEvent, received_at=timezone.now() - timedelta(minutes=61))

    process_ses()

    row.refresh_from_db()
    assert (row.state, row.next_attempt_at) == ("unmatched", None)


def test_retries_of_unmatched_events_back_off(sample, ingest_events):
    (row,) = ingest_events(sample("delivery"))
    delays = []
    for _ in range(8):
        row.refresh_from_db()
        delays.append(round((row.next_attempt_at - row.processed_at).total_seconds()))
        make_due(ProviderEvent)
        process_ses()

    assert delays[:3] == [5, 10, 20]
    assert delays[-1] == 300


def test_an_unmatched_event_can_be_reprocessed(sample, make_email, ingest_events, capsys):
    (row,) = ingest_events(sample("delivery"))
    make_due(ProviderEvent, received_at=timezone.now() - timedelta(hours=2))
    process_ses()
    email = make_email()

    call_command("reprocess", "--since=3h", "--state=unmatched")
    make_due(ProviderEvent)
    process_ses()

    assert "1 callbacks will be reprocessed." in capsys.readouterr().out
    row.refresh_from_db()
    assert (row.state, row.email_id) == ("processed", email.pk)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("Not an SES event", "Message is not JSON"),
        ("[]", "Message is not a JSON object"),
        ("{}", "Message has no mail.messageId"),
        ('{"eventType": "Send", "mail": {"messageId": 7}}', "Message has no mail.messageId"),
        ('{"eventType": "Moved", "mail": {"messageId": "x"}}', "unknown event type 'Moved'"),
        ('{"eventType": ["Send"], "mail": {"messageId": "x"}}', "unknown event type"),
        ('{"eventType": "Send", "mail": {"messageId": "x"}, "send": 1}', "`send` is not an object"),
    ],
)
def test_an_unparsable_event_is_quarantined_with_a_reason(body, reason, ingest_events):
    (row,) = ingest_events(body)

    assert row.state == "quarantined"
    assert row.reason.startswith(reason)
    assert row.next_attempt_at is None
    assert json.loads(row.body)["Message"] == body


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"eventType": "Send"}'])
def test_a_body_that_is_not_an_sns_message_is_quarantined(db, body):
    row = ProviderEvent.objects.create(source="ses", event_id="odd", body=body)

    make_due(ProviderEvent)
    process_ses()

    row.refresh_from_db()
    assert row.state == "quarantined"
    assert row.reason.startswith("the body is not an SNS message")


def test_quarantined_events_can_be_reprocessed(
    sample, make_email, ingest_events, capsys, monkeypatch
):
    make_email()
    monkeypatch.setattr(ses, "parse_event", lambda body: json.loads("{"))
    with pytest.raises(json.JSONDecodeError):
        ingest_events(sample("delivery"))
    monkeypatch.undo()
    (row,) = ProviderEvent.objects.all()
    ProviderEvent.objects.update(state="quarantined", next_attempt_at=None, reason="a bug")

    call_command("reprocess", "--dry-run")
    assert "1 callbacks would be reprocessed." in capsys.readouterr().out
    row.refresh_from_db()
    assert row.state == "quarantined"
    call_command("reprocess")
    make_due(ProviderEvent)
    process_ses()

    row.refresh_from_db()
    assert (row.state, row.reason) == ("processed", "")


def test_reprocessing_everything_changes_nothing(sample, make_email, ingest_events, published):
    make_email()
    ingest_events(sample("delivery"), sample("complaint_abuse"), sample("open"))
    before = published(), list(EmailRecipient.objects.order_by("pk").values())

    call_command("reprocess", "--state=processed")
    make_due(ProviderEvent)
    assert process_ses().claimed == 3

    assert (published(), list(EmailRecipient.objects.order_by("pk").values())) == before


def test_one_bad_event_does_not_block_the_others(sample, make_email, store, monkeypatch, log_lines):
    email = make_email()
    bad_event = sample("click")
    original = ses.record_facts

    def fail_on_clicks(facts):
        if any(fact.type == "clicked" for fact in facts):
            raise RuntimeError("cannot be recorded")
        return original(facts)

    monkeypatch.setattr(ses, "record_facts", fail_on_clicks)
    rows = store(sample("send"), bad_event, sample("delivery"))
    ProviderEvent.objects.filter(pk=rows[1].pk).update(request_id="the-bad-one")
    lines = log_lines("ingest.processing")
    assert process_ses().claimed == len(rows)
    for row in rows:
        row.refresh_from_db()

    assert [row.state for row in rows] == ["processed", "quarantined", "processed"]
    assert "cannot be recorded" in rows[1].reason
    assert set(EmailEvent.objects.values_list("type", flat=True)) == {"sent", "delivered"}
    assert EmailRecipient.objects.filter(email=email, status="delivered").count() == 1
    assert [line.get("request_id") for line in lines] == [None, "the-bad-one"]


def test_events_carry_the_request_id_of_the_email(sample, make_email, store):
    make_email(request_id="trace-me-1")
    store(sample("delivery"))
    ProviderEvent.objects.update(request_id="callback-request")

    process_ses()

    event = Event.objects.get()
    assert (event.type, event.request_id) == ("email.delivered", "trace-me-1")


def test_a_database_error_quarantines_nothing(sample, make_email, store, monkeypatch):
    make_email()
    (row,) = store(sample("delivery"))

    def raise_deadlock(facts):
        if facts:
            raise OperationalError("deadlock detected")

    monkeypatch.setattr(ses, "record_facts", raise_deadlock)
    with pytest.raises(OperationalError):
        process_ses()

    row.refresh_from_db()
    assert (row.state, row.claims) == ("received", 1)
    assert row.next_attempt_at is not None


def test_a_poisoned_callback_is_quarantined(sample, make_email, store):
    make_email()
    (row,) = store(sample("delivery"))
    ProviderEvent.objects.update(crashes=5)

    process_ses()

    row.refresh_from_db()
    assert (row.state, row.next_attempt_at) == ("quarantined", None)
    assert "worker died" in row.reason
    assert not EmailEvent.objects.exists()


def test_a_worker_that_lost_its_lease_writes_nothing(sample, make_email, store, monkeypatch):
    make_email()
    (row,) = store(sample("delivery"))
    original = ses.parse_event

    def parse_after_lease(body):
        ProviderEvent.objects.update(claims=2)  # another worker reclaimed it
        return original(body)

    monkeypatch.setattr(ses, "parse_event", parse_after_lease)
    process_ses()

    row.refresh_from_db()
    assert row.state == "received"
    assert not EmailEvent.objects.exists()


@pytest.mark.django_db
def test_the_number_of_statements_does_not_grow_with_the_batch(tagged, make_email, store):
    names = [
        *("send", "delivery", "bounce_permanent_general", "complaint_abuse", "open"),
        *("bounce_transient_mailbox_full", "subscription_unsubscribe_all", "delivery_delay"),
        *("reject", "notification_delivery"),
    ]

    def batch(size, number):
        emails = [
            make_email(to=[f"r{number}-{each}@example.com"], provider_message_id="")
            for each in range(size)
        ]
        bodies = []
        for place, email in enumerate(emails):
            text = json.dumps(tagged(names[place % len(names)], email))
            bodies.append(text.replace("recipient@example.com", email.to[0]))
        store(*bodies)

    batch(10, 1)
    few = statement_count(process_ses)
    batch(200, 2)
    many = statement_count(process_ses)

    assert ProviderEvent.objects.filter(state="processed").count() == 210
    assert Contact.objects.count() == 21
    assert few == many


@pytest.mark.django_db(transaction=True)
def test_a_worker_killed_before_its_commit_leaves_everything_due(
    tagged, make_email, store, published, monkeypatch
):
    emails = [make_email(to=[f"r{number}@example.com"]) for number in range(5)]
    store(*(tagged("send", email) for email in emails))
    read_end, write_end = os.pipe()
    connections.close_all()
    child = os.fork()
    if child == 0:
        try:
            # All statements have run; the commit is next.
            monkeypatch.setattr(
                ses,
                "_record_unsubscribes",
                lambda *_: (os.write(write_end, b"x"), time.sleep(60)),
            )
            process_ses()
        finally:
            os._exit(1)
    assert os.read(read_end, 1) == b"x"
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(read_end)
    os.close(write_end)

    assert not EmailEvent.objects.exists()
    assert not published()
    assert process_ses().claimed == 0  # the lease has not expired
    make_due(ProviderEvent)
    assert process_ses().claimed == 5

    assert set(ProviderEvent.objects.values_list("state", flat=True)) == {"processed"}
    assert EmailEvent.objects.count() == 5
    assert [kind for kind, _ in published()] == ["email.sent"] * 5
