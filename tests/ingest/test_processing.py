"""Stored callbacks: the ones that find no email, can't be read or meet a worker that dies."""

import json
import os
import signal
import time
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import OperationalError, connection, connections
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from contacts.models import Contact
from emails.models import Email, EmailEvent, EmailRecipient
from events.models import Event
from ingest import processing
from ingest.models import ProviderEvent
from ingest.processing import process_due


def make_due(**changes):
    ProviderEvent.objects.update(next_attempt_at=timezone.now() - timedelta(seconds=1), **changes)


@pytest.fixture
def tagged(sample):
    """An event that carries our own id of the email."""

    def make(name, email, **mail):
        event = sample(name)
        event["mail"] |= {"messageId": f"0100-{email.pk}", "tags": {}} | mail
        event["mail"]["tags"] |= {"opensend_email_id": [str(email.pk)]}
        return event

    return make


@pytest.mark.parametrize("way", ["tag", "header", "message id"])
def test_an_email_is_found_in_three_ways(way, sample, make_email, take_in):
    event, email = sample("delivery"), make_email()
    if way != "message id":
        event["mail"]["messageId"] = "another"
    if way == "tag":
        event["mail"]["tags"]["opensend_email_id"] = [str(email.pk)]
    if way == "header":
        header = {"name": "x-opensend-email-id", "value": f" {email.pk} "}
        event["mail"]["headers"].append(header)

    (row,) = take_in(event)

    assert (row.state, row.email_id, row.type) == ("processed", email.pk, "Delivery")


def test_a_tag_of_no_email_gives_way_to_the_message_id(sample, make_email, take_in):
    event, email = sample("delivery"), make_email()
    event["mail"]["tags"]["opensend_email_id"] = ["00000000-0000-7000-8000-000000000000"]

    (row,) = take_in(event)

    assert row.email_id == email.pk


def test_an_event_can_come_before_its_email_knows_its_id(sample, make_email, take_in):
    email = make_email(provider_message_id="")
    (row,) = take_in(sample("delivery"))
    assert (row.state, row.reason) == ("unmatched", "no email here has this id")
    assert row.next_attempt_at > timezone.now()

    Email.objects.update(provider_message_id=sample("delivery")["mail"]["messageId"])
    make_due()
    process_due()

    row.refresh_from_db()
    assert (row.state, row.email_id, row.next_attempt_at) == ("processed", email.pk, None)
    assert EmailEvent.objects.get().type == "delivered"


def test_after_an_hour_without_its_email_an_event_is_left_for_people(sample, take_in):
    (row,) = take_in(sample("delivery"))
    make_due(received_at=timezone.now() - timedelta(minutes=61))

    process_due()

    row.refresh_from_db()
    assert (row.state, row.next_attempt_at) == ("unmatched", None)


def test_the_pauses_between_looks_for_the_email_grow(sample, take_in):
    (row,) = take_in(sample("delivery"))
    pauses = []
    for _ in range(8):
        row.refresh_from_db()
        pauses.append(round((row.next_attempt_at - row.processed_at).total_seconds()))
        make_due()
        process_due()

    assert pauses[:3] == [5, 10, 20]
    assert pauses[-1] == 300


def test_an_event_that_was_left_can_be_run_again(sample, make_email, take_in, capsys):
    (row,) = take_in(sample("delivery"))
    make_due(received_at=timezone.now() - timedelta(hours=2))
    process_due()
    email = make_email()

    call_command("reprocess", "--since=3h", "--state=unmatched")
    make_due()
    process_due()

    assert "1 callbacks are due again." in capsys.readouterr().out
    row.refresh_from_db()
    assert (row.state, row.email_id) == ("processed", email.pk)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("What SES never says", "Message is not JSON"),
        ("[]", "Message is not a JSON object"),
        ("{}", "Message has no mail.messageId"),
        ('{"eventType": "Send", "mail": {"messageId": 7}}', "Message has no mail.messageId"),
        ('{"eventType": "Moved", "mail": {"messageId": "x"}}', "unknown event type 'Moved'"),
        ('{"eventType": ["Send"], "mail": {"messageId": "x"}}', "unknown event type"),
        ('{"eventType": "Send", "mail": {"messageId": "x"}, "send": 1}', "`send` is not an object"),
        ('{"eventType": "Send", "mail": {"messageId": "x"}, "send": {}}', "`send` is not as SES"),
        (
            '{"eventType": "Bounce", "mail": {"messageId": "x", "timestamp": "2026-03-01T12:00Z"},'
            ' "bounce": {"bounceType": "Permanent", "bouncedRecipients": [{"emailAddress": " "}]}}',
            "`bounce` is not as SES documents it",
        ),
        (
            '{"eventType": "Delivery", "mail": {"messageId": "x", "timestamp": "2026-03-01T12:00Z"}'
            ', "delivery": {"recipients": [null]}}',
            "`delivery` is not as SES documents it",
        ),
    ],
)
def test_what_cannot_be_read_is_kept_with_its_reason(body, reason, take_in):
    (row,) = take_in(body)

    assert row.state == "quarantined"
    assert row.reason.startswith(reason)
    assert row.next_attempt_at is None
    assert json.loads(row.body)["Message"] == body


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"eventType": "Send"}'])
def test_a_body_that_sns_never_posted_is_quarantined(db, body):
    row = ProviderEvent.objects.create(source="ses", event_id="odd", body=body)

    ProviderEvent.objects.update(next_attempt_at=timezone.now() - timedelta(minutes=1))
    process_due()

    row.refresh_from_db()
    assert row.state == "quarantined"
    assert row.reason.startswith("the body is no SNS message")


def test_quarantined_events_can_be_run_again(sample, make_email, take_in, capsys, monkeypatch):
    make_email()
    monkeypatch.setattr(processing, "parse_event", lambda body: json.loads("{"))
    with pytest.raises(json.JSONDecodeError):
        take_in(sample("delivery"))
    monkeypatch.undo()
    (row,) = ProviderEvent.objects.all()
    ProviderEvent.objects.update(state="quarantined", next_attempt_at=None, reason="a bug")

    call_command("reprocess", "--dry-run")
    assert "1 callbacks would be run again." in capsys.readouterr().out
    row.refresh_from_db()
    assert row.state == "quarantined"
    call_command("reprocess")
    make_due()
    process_due()

    row.refresh_from_db()
    assert (row.state, row.reason) == ("processed", "")


def test_running_everything_again_changes_nothing(sample, make_email, take_in, published):
    make_email()
    take_in(sample("delivery"), sample("complaint_abuse"), sample("open"))
    before = published(), list(EmailRecipient.objects.order_by("pk").values())

    call_command("reprocess", "--state=processed")
    make_due()
    assert process_due() == 3

    assert (published(), list(EmailRecipient.objects.order_by("pk").values())) == before


def test_one_poisonous_event_does_not_keep_the_others(
    sample, make_email, store, monkeypatch, log_lines
):
    email = make_email()
    poison = sample("click")
    genuine = processing.record_facts

    def choke(reports):
        if any(report.type == "clicked" for report in reports):
            raise RuntimeError("cannot be swallowed")
        return genuine(reports)

    monkeypatch.setattr(processing, "record_facts", choke)
    rows = store(sample("send"), poison, sample("delivery"))
    ProviderEvent.objects.filter(pk=rows[1].pk).update(request_id="the-poisonous-one")
    lines = log_lines("ingest.processing")
    assert process_due() == len(rows)
    for row in rows:
        row.refresh_from_db()

    assert [row.state for row in rows] == ["processed", "quarantined", "processed"]
    assert "cannot be swallowed" in rows[1].reason
    assert set(EmailEvent.objects.values_list("type", flat=True)) == {"sent", "delivered"}
    assert EmailRecipient.objects.filter(email=email, status="delivered").count() == 1
    assert [line.get("request_id") for line in lines] == [None, "the-poisonous-one"]


def test_what_a_callback_brings_is_told_with_the_id_of_the_emails_request(
    sample, make_email, store
):
    make_email(request_id="trace-me-1")
    store(sample("delivery"))
    ProviderEvent.objects.update(request_id="of-the-callback")

    process_due()

    event = Event.objects.get()
    assert (event.type, event.request_id) == ("email.delivered", "trace-me-1")


def test_trouble_with_the_database_quarantines_nothing(sample, make_email, store, monkeypatch):
    make_email()
    (row,) = store(sample("delivery"))

    def break_down(reports):
        if reports:
            raise OperationalError("deadlock detected")

    monkeypatch.setattr(processing, "record_facts", break_down)
    with pytest.raises(OperationalError):
        process_due()

    row.refresh_from_db()
    assert (row.state, row.claims) == ("received", 1)
    assert row.next_attempt_at is not None


def test_a_callback_that_kills_its_workers_is_shelved(sample, make_email, store):
    make_email()
    (row,) = store(sample("delivery"))
    ProviderEvent.objects.update(crashes=5)

    process_due()

    row.refresh_from_db()
    assert (row.state, row.next_attempt_at) == ("quarantined", None)
    assert "worker died" in row.reason
    assert not EmailEvent.objects.exists()


def test_a_worker_that_lost_its_lease_takes_nothing_in(sample, make_email, store, monkeypatch):
    make_email()
    (row,) = store(sample("delivery"))
    genuine = processing.parse_event

    def dawdle(body):
        ProviderEvent.objects.update(claims=2)  # another worker has claimed it since
        return genuine(body)

    monkeypatch.setattr(processing, "parse_event", dawdle)
    process_due()

    row.refresh_from_db()
    assert row.state == "received"
    assert not EmailEvent.objects.exists()


def statements(work):
    with CaptureQueriesContext(
        connection,
    ) as queries:
        work()
    return len(queries)


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
    few = statements(process_due)
    batch(200, 2)
    many = statements(process_due)

    assert ProviderEvent.objects.filter(state="processed").count() == 210
    assert Contact.objects.count() == 21
    assert few == many


@pytest.mark.django_db(transaction=True)
def test_a_worker_killed_in_the_middle_leaves_everything_due(
    tagged, make_email, store, published, monkeypatch
):
    emails = [make_email(to=[f"r{number}@example.com"]) for number in range(5)]
    store(*(tagged("send", email) for email in emails))
    ready, told = os.pipe()
    connections.close_all()
    child = os.fork()
    if child == 0:
        try:
            # It has written all its statements and is about to commit.
            monkeypatch.setattr(
                processing,
                "_record_unsubscribes",
                lambda *_: (os.write(told, b"x"), time.sleep(60)),
            )
            process_due()
        finally:
            os._exit(1)
    assert os.read(ready, 1) == b"x"
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(ready)
    os.close(told)

    assert not EmailEvent.objects.exists()
    assert not published()
    assert process_due() == 0  # its lease still runs
    make_due()
    assert process_due() == 5

    assert set(ProviderEvent.objects.values_list("state", flat=True)) == {"processed"}
    assert EmailEvent.objects.count() == 5
    assert [kind for kind, _ in published()] == ["email.sent"] * 5
