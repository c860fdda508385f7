"""Finished events are purged by age, dead-lettered ones as well, except those still needed."""

from datetime import timedelta

import pytest
from django.db.models import Q
from django.utils import timezone

from events.models import Event
from events.tasks import purge_old_events
from tests.events.event_samples import Recorder, published

pytestmark = pytest.mark.django_db


@pytest.fixture
def old_events(workspace, subscribe, settings):
    """A due, a dispatched and a dead-lettered event, older than the retention."""
    settings.EVENT_RETENTION = timedelta(days=90)
    subscribe(Recorder("any").subscriber)
    due, dispatched, dead_lettered = published(workspace, 3)
    rows = Event.objects.all()
    rows.update(created_at=timezone.now() - timedelta(days=91))
    rows.exclude(pk=due.pk).update(next_attempt_at=None)
    rows.filter(pk=dispatched.pk).update(pending=[])
    return due, dispatched, dead_lettered


def remaining():
    return set(Event.objects.values_list("pk", flat=True))


def test_old_finished_events_are_purged(workspace, old_events):
    due, *_ = old_events
    [new] = published(workspace, 1)
    Event.objects.filter(pk=new.pk).update(next_attempt_at=None)
    assert purge_old_events() == 2
    assert remaining() == {due.pk, new.pk}


def test_events_that_an_app_still_needs_are_kept(old_events, monkeypatch):
    due, dispatched, _ = old_events
    needed = Q(pk=dispatched.pk)
    monkeypatch.setattr("core.hooks.collect", lambda name: {"KEEP_EVENTS_WHILE": [needed]}[name])
    assert purge_old_events() == 1
    assert remaining() == {due.pk, dispatched.pk}
