"""Three soft bounces on three distinct days within thirty: the address gets no more mail."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, transaction

from contacts.models import Suppression
from emails.facts.record import EmailFact
from emails.facts.record import record_facts as take_reports_in
from emails.models import EmailEvent
from events.catalogue import CATALOGUE

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def bounce(sample, make_email, take_in):
    """Let mail to an address bounce softly after so many days."""

    def happen(*days, address="recipient@example.com", **fields):
        for day in days:
            at = START + timedelta(days=day)
            event = sample("bounce_transient_mailbox_full")
            identity = f"{address}-{at.isoformat()}"
            event["mail"]["messageId"] = identity
            event["bounce"] |= {
                "timestamp": at.isoformat(),
                "feedbackId": identity,
                "bouncedRecipients": [{"emailAddress": address}],
            }
            make_email(to=[address], provider_message_id=identity, **fields)
            take_in(event)

    return happen


def origins():
    return dict(Suppression.objects.values_list("email", "origin"))


def test_three_days_within_thirty_suppress(bounce, published):
    bounce(0, 10)
    assert not origins()
    bounce(30)

    assert origins() == {"recipient@example.com": "soft_bounces"}
    assert len(published("suppression.added")) == 1
    kept = Suppression.objects.get()
    assert kept.created_at == START + timedelta(days=30)
    third = EmailEvent.objects.get(status="soft_bounced", occurred_at=kept.created_at)
    assert (kept.email_id, kept.event_id) == (third.email_id, third.pk)


@pytest.mark.parametrize("days", [(0, 0.1, 0.2), (0, 1), (0, 15, 30.5), (0, 1, 40, 41, 80)])
def test_fewer_days_or_longer_spans_do_not(days, bounce):
    bounce(*days)

    assert not origins()


@pytest.mark.parametrize("days", [(0, 1, 2, 3), (3, 2, 1, 0), (0, 3, 1, 2), (1, 3, 2, 0)])
def test_the_cause_is_the_third_day_in_whatever_order_they_are_heard_of(days, bounce):
    bounce(*days)

    assert Suppression.objects.get().created_at == START + timedelta(days=2)


def test_the_case_of_the_address_does_not_count(bounce):
    bounce(0, address="Recipient@example.com")
    bounce(1, address="recipient@EXAMPLE.com")
    bounce(2, address="RECIPIENT@example.com")

    assert origins() == {"recipient@example.com": "soft_bounces"}


def test_another_workspaces_bounces_are_not_counted(bounce, db):
    from accounts.services import create_workspace

    bounce(0, 1)
    bounce(2, workspace=create_workspace(name="Bob's"))

    assert not origins()


def test_the_simulator_may_bounce_every_day(bounce):
    bounce(0, 1, 2, address="ooto@simulator.amazonses.com")

    assert not origins()


@pytest.mark.django_db(transaction=True)
def test_two_workers_with_a_bounce_each_see_each_others(bounce, make_email):
    bounce(0)
    wrote, done = threading.Event(), threading.Event()

    def report(day):
        email = make_email(to=["recipient@example.com"], provider_message_id=f"day {day}")
        return EmailFact(
            email_id=email.pk,
            type="bounced",
            recipient="recipient@example.com",
            status="soft_bounced",
            occurred_at=START + timedelta(days=day),
            webhook={"bounce": CATALOGUE["email.bounced"].example_data()["bounce"]},
        )

    def work(first):
        with transaction.atomic():
            take_reports_in([first])
            wrote.set()
            done.wait(0.5)  # it commits while the other one is at work
        connection.close()

    worker = threading.Thread(target=work, args=(report(1),))
    second = report(2)
    worker.start()
    assert wrote.wait(5)
    take_reports_in([second])
    done.set()
    worker.join()

    assert origins() == {"recipient@example.com": "soft_bounces"}


def test_a_hard_bounce_afterwards_is_the_stronger_reason(bounce, sample, make_email, take_in):
    bounce(0, 1, 2)
    make_email()
    take_in(sample("bounce_permanent_general"))

    assert origins() == {"recipient@example.com": "bounce"}
