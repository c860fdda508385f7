from datetime import timedelta

import pytest
from django.utils import timezone

from core import retention
from events.models import Event
from events.tasks import forget_old_events

pytestmark = pytest.mark.django_db


def aged(events, count, days):
    rows = events(count)
    Event.objects.filter(pk__in=[row.pk for row in rows]).update(
        created_at=timezone.now() - timedelta(days=days), next_attempt_at=None
    )
    return rows


def test_only_what_is_older_is_deleted(events):
    aged(events, 3, days=10)
    (young,) = aged(events, 1, days=5)
    forgotten = retention.forget(
        Event.objects.all(), column="created_at", older_than=timedelta(days=7)
    )
    assert forgotten == 3
    assert Event.objects.get().pk == young.pk


def test_it_goes_on_in_batches_until_nothing_old_is_left(
    events, monkeypatch, django_assert_num_queries
):
    monkeypatch.setattr(retention, "BATCH", 2)
    aged(events, 5, days=10)
    with django_assert_num_queries(7):  # three batches read and deleted, and the empty look
        retention.forget(Event.objects.all(), column="created_at", older_than=timedelta(days=7))
    assert not Event.objects.exists()


def test_an_event_that_nobody_has_heard_of_is_kept_however_old(events):
    (unheard,) = aged(events, 1, days=1000)
    aged(events, 1, days=1000)
    Event.objects.filter(pk=unheard.pk).update(next_attempt_at=timezone.now())
    assert forget_old_events() == 1
    assert Event.objects.get().pk == unheard.pk
