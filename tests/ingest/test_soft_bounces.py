"""Soft bounces on three distinct days within thirty days suppress the address."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.db import transaction

from contacts.models import Suppression
from emails.facts.record import EmailFact, record_facts
from emails.models import EmailEvent
from events.catalogue import CATALOGUE
from tests.database import concurrently, suppressions

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def bounce(sample, make_email, ingest_events):
    """Soft-bounce an email to the address on each of these days after START."""

    def soft_bounce(*days, address="recipient@example.com", **fields):
        for day in days:
            at = START + timedelta(days=day)
            event = sample("bounce_transient_mailbox_full")
            message_id = f"{address}-{at.isoformat()}"
            event["mail"]["messageId"] = message_id
            event["bounce"] |= {
                "timestamp": at.isoformat(),
                "feedbackId": message_id,
                "bouncedRecipients": [{"emailAddress": address}],
            }
            make_email(to=[address], provider_message_id=message_id, **fields)
            ingest_events(event)

    return soft_bounce


def test_three_days_within_thirty_suppress(bounce, published):
    bounce(0, 10)
    assert not suppressions()
    bounce(30)

    assert suppressions() == {"recipient@example.com": "soft_bounces"}
    assert len(published("suppression.added")) == 1
    suppression = Suppression.objects.get()
    assert suppression.created_at == START + timedelta(days=30)
    third = EmailEvent.objects.get(status="soft_bounced", occurred_at=suppression.created_at)
    assert (suppression.email_id, suppression.event_id) == (third.email_id, third.pk)


@pytest.mark.parametrize("days", [(0, 0.1, 0.2), (0, 1), (0, 15, 30.5), (0, 1, 40, 41, 80)])
def test_fewer_days_or_longer_spans_do_not_suppress(days, bounce):
    bounce(*days)

    assert not suppressions()


@pytest.mark.parametrize("days", [(0, 1, 2, 3), (3, 2, 1, 0), (0, 3, 1, 2), (1, 3, 2, 0)])
def test_the_third_day_is_the_cause_in_any_order_of_arrival(days, bounce):
    bounce(*days)

    assert Suppression.objects.get().created_at == START + timedelta(days=2)


def test_the_case_of_the_address_is_ignored(bounce):
    bounce(0, address="Recipient@example.com")
    bounce(1, address="recipient@EXAMPLE.com")
    bounce(2, address="RECIPIENT@example.com")

    assert suppressions() == {"recipient@example.com": "soft_bounces"}


def test_another_workspaces_bounces_are_not_counted(bounce, db):
    from accounts.services import create_workspace

    bounce(0, 1)
    bounce(2, workspace=create_workspace(name="Bob's"))

    assert not suppressions()


def test_simulator_addresses_are_not_suppressed(bounce):
    bounce(0, 1, 2, address="ooto@simulator.amazonses.com")

    assert not suppressions()


@pytest.mark.django_db(transaction=True)
def test_concurrent_workers_see_each_others_bounces(bounce, make_email):
    bounce(0)
    wrote, done = threading.Event(), threading.Event()

    def fact(day):
        email = make_email(to=["recipient@example.com"], provider_message_id=f"day {day}")
        return EmailFact(
            email_id=email.pk,
            type="bounced",
            recipient="recipient@example.com",
            status="soft_bounced",
            occurred_at=START + timedelta(days=day),
            event_data={"bounce": CATALOGUE["email.bounced"].example_data()["bounce"]},
        )

    def work(first):
        with transaction.atomic():
            record_facts([first])
            wrote.set()
            done.wait(0.5)  # commits while the other worker runs

    first, second = fact(1), fact(2)
    with concurrently(lambda: work(first)):
        assert wrote.wait(5)
        record_facts([second])
        done.set()

    assert suppressions() == {"recipient@example.com": "soft_bounces"}


def test_a_later_hard_bounce_overrides_the_origin(bounce, sample, make_email, ingest_events):
    bounce(0, 1, 2)
    make_email()
    ingest_events(sample("bounce_permanent_general"))

    assert suppressions() == {"recipient@example.com": "bounce"}
