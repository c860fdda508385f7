"""Queue rows for tests: events as the simplest queue, emails as one that is claimed round-robin."""

from datetime import timedelta

import pytest

# Django is not set up yet when this file is imported.


@pytest.fixture
def events(workspace):
    """`events(3)` creates three due events, oldest first."""
    from django.db import connection

    from core.db.ids import uuid7
    from events.models import Event

    def make(count):
        rows = [
            Event(id=uuid7(), workspace=workspace, type="webhook.test", body="{}")
            for _ in range(count)
        ]
        Event.objects.bulk_create(rows)
        ids = [row.pk for row in rows]
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE events SET next_attempt_at = now() - interval '10 s' + place * interval"
                " '1 ms' FROM unnest(%s::uuid[]) WITH ORDINALITY AS t (key, place) WHERE id = key",
                [ids],
            )
        return [Event.objects.get(pk=pk) for pk in ids]

    return make


@pytest.fixture
def make_due(db):
    """`make_due(rows)` expires the leases of rows."""
    from tests.database import make_due

    def expire(rows, ago=timedelta(seconds=1)):
        make_due(type(rows[0]).objects.filter(pk__in=[row.pk for row in rows]), ago=ago)

    return expire


@pytest.fixture
def emails_due():
    """`emails_due(workspace, 10_000)` inserts queued emails without recipients."""
    from django.db import connection

    from emails.models import Email

    def make(workspace, count, ago="1 s"):
        first = Email.objects.create(
            workspace=workspace, sender="a@example.com", to=[], subject="Hi", text="Hi"
        )
        columns = [field.column for field in Email._meta.concrete_fields]
        columns.remove("id")
        columns.remove("next_attempt_at")
        names = ", ".join(f'"{name}"' for name in columns)
        with connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO emails (id, next_attempt_at, {names})"
                f" SELECT gen_random_uuid(), now() - %s::interval, {names}"
                " FROM emails, generate_series(1, %s) WHERE id = %s",
                [ago, count, first.pk],
            )
        first.delete()

    return make
