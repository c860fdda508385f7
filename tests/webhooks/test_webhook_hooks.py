"""What webhooks offer to other apps, and take from them."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.apps import apps
from django.utils import timezone

from core.hooks import collect
from webhooks import filters, hooks
from webhooks.health import NOTIFY_AFTER, PROBE_AFTER
from webhooks.models import Delivery, Endpoint

pytestmark = pytest.mark.django_db(transaction=True)

URL = "https://hooks.example.com/"


def test_the_hooks_are_collected():
    for name in ("SUBSCRIBERS", "EVENT_TYPES", "KEEP_EVENTS_WHILE", "ALERTS", "ADMIN_SECTIONS"):
        offered = getattr(hooks, name)
        assert offered
        assert all(any(each is entry for each in collect(name)) for entry in offered)


def test_the_event_types_are_those_about_endpoints():
    names = [kind.name for kind in hooks.EVENT_TYPES]
    assert names == ["webhook.test", "webhook.failing", "webhook.disabled"]
    for kind in hooks.EVENT_TYPES:
        assert kind.schema["properties"]["type"]["const"] == kind.name
        assert kind.example["type"] == kind.name


def test_an_event_shows_its_deliveries_in_the_admin(endpoint_at, publish_events):
    [(label, section)] = hooks.ADMIN_SECTIONS
    endpoint_at(URL)
    [event] = publish_events()
    assert isinstance(event, apps.get_model(label))
    assert len(section(event).rows) == 1


@pytest.mark.parametrize(
    ("state", "alert"),
    [
        ({}, None),
        ({"status": "disabled"}, None),
        ({"status": "disabled", "disabled_reason": "410 Gone"}, "disabled automatically"),
        ({"failing_since": timedelta()}, None),
        ({"failing_since": NOTIFY_AFTER}, "more than a day"),
        ({"failures_in_a_row": PROBE_AFTER}, "half-open"),
    ],
)
def test_alerts_count_endpoints_in_trouble(endpoint_at, state, alert):
    endpoint_at(URL)
    if "failing_since" in state:
        state = state | {"failing_since": timezone.now() - state["failing_since"]}
    Endpoint.objects.update(**state)
    raised = [shown for ask in hooks.ALERTS if (shown := ask()).count]
    assert [alert in shown.text for shown in raised] == ([True] if alert else [])


def test_an_alert_counts_overdue_deliveries(endpoint_at, publish_events):
    endpoint_at(URL)
    publish_events(count=2)
    assert [ask().count for ask in hooks.ALERTS] == [0, 0, 0, 0]
    Delivery.objects.update(next_attempt_at=timezone.now() - timedelta(minutes=3))
    assert [ask().count for ask in hooks.ALERTS] == [2, 0, 0, 0]


def test_the_lookups_of_other_apps_validate_filters(workspace, monkeypatch):
    known, unknown = uuid4(), uuid4()
    asked = []

    def lookup(of, ids):
        asked.append((of, ids))
        return {known}

    monkeypatch.setattr(filters, "collect", lambda name: [("pod_ids", lookup)])
    given = {"pod_ids": [known, unknown], "inbox_ids": [unknown], "domain_ids": []}
    assert filters.problems(workspace, given) == {
        "pod_ids.1": f"there is no pod {unknown} in this workspace"
    }
    assert asked == [(workspace, {known, unknown})]
