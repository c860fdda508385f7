"""Outcomes of sends are written while callbacks about the same emails are taken in."""

import threading
import time
from contextlib import contextmanager
from datetime import timedelta

import psycopg
import pytest
from django.db import connection
from django.utils import timezone

from emails.models import Email
from emails.providers import Accepted, NotTaken, OutcomeUnknown, Refused
from emails.sending.send_results import Outcome, resolve_unknown, settle

pytestmark = pytest.mark.django_db(transaction=True)

RECEIPT = Accepted(provider_message_id="0100-1", message_id="<0100-1@x>", provider_response={})


@pytest.fixture
def two(api, domain):
    """Two emails that are being sent, in the order of their ids."""
    for address in ("bob@example.net", "eve@example.net"):
        mail = {"from": "a@example.com", "to": address, "subject": "Hello", "text": "Hi"}
        assert api.post("/emails", mail).status_code == 200
    Email.objects.update(status="sending", claims=1)
    return list(Email.objects.order_by("pk"))


@contextmanager
def another_connection():
    parameters = connection.get_connection_params()
    names = ("dbname", "host", "port", "user", "password")
    chosen = {name: parameters[name] for name in names if parameters.get(name)}
    with psycopg.connect(**chosen) as other:
        yield other


def lock(other, email, *, wait=True):
    clause = "" if wait else " NOWAIT"
    other.execute(f"SELECT id FROM emails WHERE id = %s FOR UPDATE{clause}", [email.pk])


def wait_for_a_waiter(other):
    end = time.monotonic() + 10
    while not other.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone()[0]:
        assert time.monotonic() < end, "nobody waits for the lock"
        time.sleep(0.01)


@pytest.mark.parametrize(
    "result",
    [RECEIPT, OutcomeUnknown("no answer"), NotTaken("throttled"), Refused("no such identity")],
    ids=lambda result: type(result).__name__,
)
def test_outcomes_wait_for_an_email_without_holding_a_later_one(two, result):
    first, second = two
    outcomes = [Outcome(second, result), Outcome(first, result)]

    def write():
        settle(outcomes)
        connection.close()

    with another_connection() as other:
        lock(other, first)
        writer = threading.Thread(target=write)
        writer.start()
        wait_for_a_waiter(other)
        lock(other, second, wait=False)  # or this would be a deadlock
        other.commit()
        writer.join()
    assert not Email.objects.filter(status="sending").exists()


@pytest.mark.parametrize("status", ["sending", "unknown"])
def test_settling_sends_in_doubt_passes_over_an_email_that_is_being_written(two, status):
    first, _ = two
    Email.objects.update(status=status, next_attempt_at=timezone.now() - timedelta(seconds=1))
    with another_connection() as other:
        lock(other, first)
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '2s'")
        assert resolve_unknown() == 1
        other.commit()
    assert list(Email.objects.filter(status=status).values_list("pk", flat=True)) == [first.pk]
    assert resolve_unknown() == 1
