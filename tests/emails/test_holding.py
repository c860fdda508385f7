"""Held mail: kept back for an owner or by an operator, then released, cancelled or expired."""

from collections import Counter
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.services import create_workspace
from core.queue.queues import Batch
from emails import queues
from emails.facts.constructors import suppressed
from emails.facts.record import EmailFact, record_facts
from emails.models import Email
from emails.providers import NotTaken, OutcomeUnknown
from emails.scheduling import NotScheduled, cancel, reschedule
from emails.sending import send_results
from emails.sending.loop import send_due
from emails.sending.send_results import resolve_unknown
from emails.services import hold, hold_emails, release, release_emails
from tests.database import (
    another_connection,
    captured_statements,
    concurrently,
    make_due,
    wait_for_blocked_session,
)
from tests.emails.races import sending_begins

pytestmark = pytest.mark.django_db

OWNER = "inbox:1"
ROUNDS = 60


@pytest.fixture
def owned(accepted):
    """`owned(...)` accepts an email of OWNER, due by default; `row` are changes of its columns."""

    def accept(row=(), **message):
        email = accepted(**message)
        Email.objects.filter(pk=email.pk).update(**{"owner": OWNER, **dict(row)})
        email.refresh_from_db()
        return email

    return accept


def accepted_mail():
    """Due by the clock; in a test's transaction now() does not advance."""
    return Email.objects.filter(next_attempt_at__lte=timezone.now())


def expire():
    make_due(Email.objects.filter(status="held"))


def test_held_mail_is_sent_after_its_release(owned, provider, settings, published):
    email = owned()
    settings.HOLD_MAX_AGE = timedelta(hours=72)

    assert hold(OWNER, reason="The inbox is suspended.") == 1

    email.refresh_from_db()
    assert (email.status, email.hold_reason) == ("held", "The inbox is suspended.")
    age = email.next_attempt_at - timezone.now()
    assert age.total_seconds() == pytest.approx(72 * 3600, abs=60)
    assert (send_due().claimed, resolve_unknown().claimed, published()) == (0, 0, [])

    assert release(OWNER) == 1

    email.refresh_from_db()
    assert (email.status, email.hold_reason) == ("queued", "")
    assert email.next_attempt_at <= timezone.now()
    make_due(accepted_mail())
    assert send_due() == Batch(claimed=1, processed=1)
    assert len(provider.sent) == 1
    assert (hold(OWNER, reason="Too late."), release(OWNER)) == (0, 0)


def test_released_mail_keeps_its_schedule(owned, provider):
    past, later = (timezone.now() + timedelta(hours=hours) for hours in (-1, 1))
    scheduled = {"status": "scheduled"}
    missed = owned(row=scheduled | {"scheduled_at": past, "next_attempt_at": past})
    pending = owned(row=scheduled | {"scheduled_at": later, "next_attempt_at": later})
    assert hold(OWNER, reason="Suspended.") == 2

    assert release(OWNER) == 2

    missed.refresh_from_db()
    pending.refresh_from_db()
    assert (pending.status, pending.next_attempt_at) == ("scheduled", later)
    assert missed.status == "queued"
    assert missed.next_attempt_at <= timezone.now()
    make_due(accepted_mail())
    assert send_due().claimed == 1
    reschedule(pending, past)
    assert send_due().claimed == 1


def test_the_time_of_a_hold_does_not_count_towards_giving_up(owned, provider):
    email = owned()
    provider.script = [NotTaken("503")] * 2
    send_due()
    hold(OWNER, reason="Suspended.")
    Email.objects.update(first_attempt_at=timezone.now() - timedelta(hours=71))

    release(OWNER)
    make_due(accepted_mail())
    send_due()

    email.refresh_from_db()
    assert (email.status, len(provider.sent)) == ("queued", 2)


@pytest.mark.parametrize("status", ["sending", "unknown", "held", "sent", "cancelled", "failed"])
def test_only_mail_that_waits_is_held(status, owned):
    is_pending = status in ("sending", "unknown", "held")
    due_at = timezone.now() + timedelta(hours=1) if is_pending else None
    owned(row={"status": status, "next_attempt_at": due_at})
    before = Email.objects.values().get()

    assert hold(OWNER, reason="Suspended.") == 0

    assert Email.objects.values().get() == before


def test_mail_that_an_earlier_attempt_may_have_sent_is_not_held(owned, provider):
    email = owned()
    provider.script = [OutcomeUnknown("Read timeout")]
    send_due()
    Email.objects.update(next_attempt_at="2026-01-01T00:00Z")
    resolve_unknown()
    email.refresh_from_db()
    assert email.status == "queued"

    assert hold(OWNER, reason="Suspended.") == 0
    assert hold_emails([email], "An operator decided so.") == 0


def test_other_owners_and_workspaces_are_not_affected(owned, accepted):
    mine, other, nobodys = owned(), owned(row={"owner": "inbox:2"}), accepted()
    elsewhere = owned(row={"owner": "inbox:3", "workspace": create_workspace(name="Bob's")})

    assert hold("", reason="No owner.") == 0
    assert hold(OWNER, reason="Suspended.") == 1
    assert set(Email.objects.filter(status="held")) == {mine}

    hold_emails([nobodys, elsewhere], "An operator decided so.")
    hold("inbox:2", reason="Suspended.")
    assert (release(""), release("inbox:9")) == (0, 0)
    assert release(OWNER) == 1
    assert set(Email.objects.filter(status="held")) == {other, nobodys, elsewhere}


def test_operators_hold_and_release_chosen_mail(owned, accepted):
    mine, nobodys, left = owned(), accepted(), owned()

    assert hold_emails([mine, nobodys], "An operator decided so. " * 20) == 2
    assert set(Email.objects.filter(status="held")) == {mine, nobodys}
    assert {len(each.hold_reason) for each in Email.objects.filter(status="held")} == {200}

    assert release_emails([mine, nobodys, left]) == 2
    assert set(Email.objects.values_list("status", flat=True)) == {"queued"}


def test_holding_and_releasing_take_one_statement_each(owned):
    for _ in range(5):
        owned()

    with captured_statements(savepoints=False) as captured:
        hold(OWNER, reason="Suspended.")
        release(OWNER)

    assert len(captured) == 2


def test_a_release_wakes_the_workers(owned, hinted, django_capture_on_commit_callbacks):
    owned()
    with django_capture_on_commit_callbacks(execute=True):
        hold(OWNER, reason="Suspended.")
    assert hinted == []

    with django_capture_on_commit_callbacks(execute=True):
        release(OWNER)
        release(OWNER)

    assert hinted == [queues.SEND.task]


def test_expired_mail_fails_and_is_not_sent(owned, provider, published):
    email = owned(cc="carla@example.net")
    hold(OWNER, reason="Suspended.")
    held_until = Email.objects.get().next_attempt_at
    hold(OWNER, reason="Again.")
    assert Email.objects.get().next_attempt_at == held_until  # holding again prolongs nothing
    assert resolve_unknown().claimed == 0
    expire()

    assert resolve_unknown() == Batch(claimed=1, processed=1)

    email.refresh_from_db()
    assert (email.status, email.next_attempt_at) == ("failed", None)
    assert email.hold_reason == "Suspended."
    assert set(email.recipients.values_list("status", "detail")) == {("failed", "held_expired")}
    ((kind, data),) = published()
    assert (kind, data["failed"]) == ("email.failed", {"reason": "held_expired"})
    assert (release(OWNER), resolve_unknown().claimed, send_due().claimed) == (0, 0, 0)


def test_mail_expires_in_batches_of_a_constant_number_of_statements(owned, monkeypatch):
    def expire_one_batch(size):
        monkeypatch.setattr(send_results, "_EXPIRY_BATCH", size)
        with captured_statements(savepoints=False) as captured:
            assert resolve_unknown().claimed == size
        return len(captured)

    for _ in range(9):
        owned()
    hold(OWNER, reason="Suspended.")
    expire()

    assert expire_one_batch(1) == expire_one_batch(7)

    assert Counter(Email.objects.values_list("status", flat=True)) == {"failed": 8, "held": 1}


def test_held_mail_can_be_cancelled_but_not_rescheduled(owned, provider, published):
    email = owned(scheduled_at="in 1 hour")
    hold(OWNER, reason="Suspended.")
    before = published()

    with pytest.raises(NotScheduled) as caught:
        reschedule(email, timezone.now() + timedelta(hours=2))
    assert caught.value.details == {"status": "held"}
    cancel(email)

    email.refresh_from_db()
    assert (email.status, email.next_attempt_at) == ("cancelled", None)
    assert (release(OWNER), send_due().claimed, published()) == (0, 0, before)


def test_facts_about_held_mail_are_folded(owned, published):
    email = owned(to=["bob@example.net", "eve@example.net"])
    hold(OWNER, reason="Suspended.")

    record_facts([suppressed(email, address="eve@example.net", origin="bounce")])
    email.refresh_from_db()
    assert email.status == "held"
    assert email.next_attempt_at > timezone.now()

    now = timezone.now()
    record_facts([EmailFact(email_id=email.pk, type="sent", occurred_at=now, accepted_at=now)])
    email.refresh_from_db()
    assert (email.status, email.next_attempt_at) == ("sent", None)
    assert release(OWNER) == 0


@pytest.mark.django_db(transaction=True)
def test_mail_that_a_worker_is_claiming_is_not_held(owned):
    claimed, waiting = owned(), owned()
    with another_connection() as worker:
        claim = "UPDATE emails SET status = 'sending', claims = claims + 1 WHERE id = %s"
        worker.execute(claim, [claimed.pk])
        with concurrently(lambda: hold(OWNER, reason="Suspended.")) as held:
            wait_for_blocked_session()
            worker.commit()

    assert held.result() == 1
    assert Email.objects.get(pk=claimed.pk).status == "sending"
    assert Email.objects.get(pk=waiting.pk).status == "held"


@pytest.mark.django_db(transaction=True)
def test_an_email_is_held_or_sent_and_after_the_release_sent_once(owned, provider):
    """Two connections race for each email: a send worker and a hold."""
    outcomes = Counter()
    for number in range(ROUNDS):
        email = owned()
        with sending_begins(number):
            is_held = hold(OWNER, reason="Race.") == 1
        outcomes["held" if is_held else "sent"] += 1
        email.refresh_from_db()
        assert email.status == ("held" if is_held else "sent")
        assert (str(email.pk) in _sent(provider)) != is_held
        assert release(OWNER) == is_held
        assert send_due().claimed == is_held

    assert set(outcomes) == {"held", "sent"}
    assert set(_sent(provider).values()) == {1}
    assert len(provider.sent) == outcomes.total()


def _sent(provider):
    return Counter(message.email_id for message in provider.sent)
