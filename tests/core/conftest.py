"""Queues to work on: events are the plainest rows that are jobs, emails those claimed by turns."""

import pytest

# Django isn't set up yet when this file is read.


@pytest.fixture
def events(workspace):
    """`events(3)` makes three due events, the first the oldest."""
    from django.db import connection

    from core.ids import uuid7
    from events.models import Event

    def make(count):
        rows = [
            Event(id=uuid7(), workspace=workspace, type="webhook.test", body="{}")
            for _ in range(count)
        ]
        Event.objects.bulk_create(rows)
        order = [row.pk for row in rows]
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE events SET next_attempt_at = now() - interval '10 s' + place * interval"
                " '1 ms' FROM unnest(%s::uuid[]) WITH ORDINALITY AS t (key, place) WHERE id = key",
                [order],
            )
        return [Event.objects.get(pk=pk) for pk in order]

    return make


@pytest.fixture
def make_due(db):
    """Let leases of rows run out."""
    from django.db import connection

    def expire(rows, ago="1 s"):
        with connection.cursor() as cursor:
            cursor.execute(
                f"UPDATE {rows[0]._meta.db_table} SET next_attempt_at = now() - %s::interval"
                " WHERE id = ANY(%s)",
                [ago, [row.pk for row in rows]],
            )

    return expire


@pytest.fixture
def emails_due():
    """`emails_due(workspace, 10_000)` writes queued emails, without their recipients."""
    from django.db import connection

    def make(workspace, count, ago="1 s"):
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO emails (id, workspace_id, region, configuration_set, sender, \"to\","
                " cc, bcc, reply_to, subject, html, text, headers, tags, status, last_error,"
                " provider_message_id, provider_response, message_id, request_id, created_at,"
                " claims, unsettled_claims, next_attempt_at)"
                " SELECT gen_random_uuid(), %s, 'us-east-1', '', 'a@example.com', '{}', '{}',"
                " '{}', '{}', 'Hi', '', 'Hi', '{}', '{}', 'queued', '', '', '', '', '', now(), 0,"
                " 0, now() - %s::interval FROM generate_series(1, %s)",
                [workspace.pk, ago, count],
            )

    return make
