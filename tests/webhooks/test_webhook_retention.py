"""Retention of events, attempts, hourly counts and recoveries."""

from datetime import timedelta

import pytest
from django.utils import timezone

from events.models import Event
from events.tasks import purge_old_events
from tests.webhooks.webhook_sink import response
from webhooks.dispatch.loop import deliver_due
from webhooks.models import Attempt, Delivery, Endpoint, EndpointHour, Recovery
from webhooks.tasks import (
    purge_old_attempts,
    purge_old_endpoint_hours,
    purge_old_recoveries,
)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def attempted_events(sink, endpoint_at, publish_events):
    """Three events with one failed attempt each, oldest first."""
    sink.answers["/hook"] = response(500)
    endpoint_at(sink.url())
    events = publish_events(count=3)
    deliver_due()
    return events


def test_old_attempts_are_purged_and_their_deliveries_kept(attempted_events, settings):
    settings.ATTEMPT_RETENTION = timedelta(days=30)
    old = Attempt.objects.get(delivery__event=attempted_events[0])
    Attempt.objects.filter(pk=old.pk).update(at=timezone.now() - timedelta(days=30, minutes=1))
    assert purge_old_attempts() == 1
    assert not Attempt.objects.filter(pk=old.pk).exists()
    assert Attempt.objects.count() == 2
    assert Delivery.objects.count() == 3


def test_old_events_are_purged_with_their_deliveries_and_attempts(
    attempted_events, settings, sink, make_due
):
    sink.answers.clear()
    make_due()
    deliver_due()
    settings.EVENT_RETENTION = timedelta(days=90)
    past = timezone.now() - timedelta(days=90, minutes=1)
    Event.objects.filter(pk=attempted_events[0].pk).update(created_at=past)
    assert purge_old_events() == 1
    assert (Delivery.objects.count(), Attempt.objects.count()) == (2, 4)
    assert Endpoint.objects.count() == 1


def test_an_event_with_a_pending_delivery_is_not_purged(attempted_events, settings, sink, make_due):
    settings.EVENT_RETENTION = timedelta(minutes=1)
    Event.objects.update(created_at="2020-01-01T00:00Z")
    assert purge_old_events() == 0
    sink.answers.clear()
    make_due()
    deliver_due()
    assert purge_old_events() == 3
    assert not Attempt.objects.exists()


def test_hourly_counts_are_kept_as_long_as_attempts(attempted_events, settings):
    settings.ATTEMPT_RETENTION = timedelta(days=30)
    assert purge_old_endpoint_hours() == 0
    EndpointHour.objects.update(hour=timezone.now() - timedelta(days=30, minutes=1))
    assert purge_old_endpoint_hours() == 1


def test_finished_recoveries_are_kept_as_long_as_attempts(endpoint_at, settings):
    settings.ATTEMPT_RETENTION = timedelta(days=30)
    now = timezone.now()
    old = {"since": now - timedelta(days=32), "until": now, "only": "failed"}
    old |= {"endpoint": endpoint_at("https://hooks.example.com/")}
    due = Recovery.objects.create(**old, created_at=now - timedelta(days=31))
    Recovery.objects.create(**old, created_at=now - timedelta(days=31), next_attempt_at=None)
    young = Recovery.objects.create(**old, next_attempt_at=None)
    assert purge_old_recoveries() == 1
    assert set(Recovery.objects.all()) == {due, young}


def test_an_event_that_is_not_dispatched_yet_is_not_purged(attempted_events):
    Event.objects.update(created_at="2020-01-01T00:00Z", next_attempt_at=timezone.now())
    assert purge_old_events() == 0
    assert Event.objects.count() == 3
