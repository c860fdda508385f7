"""Saving send results and recording events about the same emails does not deadlock."""

from datetime import timedelta

import pytest
from django.utils import timezone

from emails.models import Email
from emails.providers import Accepted, NotTaken, OutcomeUnknown, Refused
from emails.sending.send_results import SendResult, resolve_unknown, save_results
from emails.services import hold, release
from tests.database import another_connection, concurrently, lock_timeout, wait_for_blocked_session

pytestmark = pytest.mark.django_db(transaction=True)

RECEIPT = Accepted(provider_message_id="0100-1", message_id="<0100-1@x>", provider_response={})


@pytest.fixture
def two_emails(api, domain):
    """Two emails that are being sent, in the order of their ids."""
    for address in ("bob@example.net", "eve@example.net"):
        mail = {"from": "a@example.com", "to": address, "subject": "Hello", "text": "Hi"}
        assert api.post("/emails", mail).status_code == 200
    Email.objects.update(status="sending", claims=1)
    return list(Email.objects.order_by("pk"))


def lock(other, email, *, wait=True):
    clause = "" if wait else " NOWAIT"
    other.execute(f"SELECT id FROM emails WHERE id = %s FOR UPDATE{clause}", [email.pk])


@pytest.mark.parametrize(
    "answer",
    [RECEIPT, OutcomeUnknown("no answer"), NotTaken("throttled"), Refused("no such identity")],
    ids=lambda answer: type(answer).__name__,
)
def test_save_results_locks_emails_in_the_order_of_their_ids(two_emails, answer):
    first, second = two_emails
    results = [SendResult(second, answer), SendResult(first, answer)]

    with another_connection() as other:
        lock(other, first)
        with concurrently(lambda: save_results(results)):
            wait_for_blocked_session()
            lock(other, second, wait=False)  # otherwise this is a deadlock
            other.commit()
    assert not Email.objects.filter(status="sending").exists()


@pytest.mark.parametrize(
    ("action", "before", "after"),
    [
        (lambda: hold("inbox:1", reason="Suspended."), "queued", "held"),
        (lambda: release("inbox:1"), "held", "queued"),
    ],
    ids=["hold", "release"],
)
def test_hold_and_release_lock_emails_in_the_order_of_their_ids(two_emails, action, before, after):
    first, second = two_emails
    Email.objects.update(owner="inbox:1", status=before)
    Email.objects.filter(pk=first.pk).update(last_error="moves the row behind the other one")

    with another_connection() as other:
        lock(other, first)
        with concurrently(action):
            wait_for_blocked_session()
            lock(other, second, wait=False)  # otherwise this is a deadlock
            other.commit()
    assert set(Email.objects.values_list("status", flat=True)) == {after}


@pytest.mark.parametrize("status", ["sending", "unknown", "held"])
def test_resolve_unknown_skips_a_locked_email(two_emails, status):
    first, _ = two_emails
    Email.objects.update(status=status, next_attempt_at=timezone.now() - timedelta(seconds=1))
    with lock_timeout("2s"), another_connection() as other:
        lock(other, first)
        assert resolve_unknown().claimed == 1
        other.commit()
    assert list(Email.objects.filter(status=status).values_list("pk", flat=True)) == [first.pk]
    assert resolve_unknown().claimed == 1
