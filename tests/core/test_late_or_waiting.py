"""What to alert on is late by our own fault; what waits for somebody else is counted apart."""

import re
from datetime import timedelta

import pytest
from django.db.models.functions import Now
from django.test import Client
from django.utils import timezone

from core.db.ids import uuid7
from core.queue.backlog import state
from emails.admin import overdue_alert
from emails.models import Email, SendRate
from emails.sending import token_bucket
from emails.sending.daily_quota import REASON as DAILY_QUOTA
from events.models import Event
from webhooks.admin.alerts import overdue_deliveries
from webhooks.models import Delivery, Endpoint, EndpointRateLimit
from webhooks.services import create_endpoint

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


@pytest.fixture
def deliveries(workspace):
    """`deliveries(3, ago=HOUR)`: an endpoint with three deliveries due since an hour ago."""

    def make(count, *, ago=HOUR, **endpoint_changes):
        endpoint, _ = create_endpoint(
            workspace=workspace, url="http://127.0.0.1:1024", event_types=["*"]
        )
        if endpoint_changes:
            Endpoint.objects.filter(pk=endpoint.pk).update(**endpoint_changes)
        events = Event.objects.bulk_create(
            Event(id=uuid7(), workspace=workspace, type="webhook.test", next_attempt_at=None)
            for _ in range(count)
        )
        Delivery.objects.bulk_create(
            Delivery(endpoint=endpoint, event=event, next_attempt_at=timezone.now() - ago)
            for event in events
        )
        return endpoint

    return make


@pytest.fixture
def emails(workspace):
    """`emails(3, status="queued", ago=HOUR)`"""

    def make(count, *, status="queued", ago=HOUR, provider="ses", **changes):
        return Email.objects.bulk_create(
            Email(
                workspace=workspace,
                sender="a@example.com",
                to=["b@example.com"],
                text="Hi",
                region="us-east-1",
                provider=provider,
                status=status,
                next_attempt_at=timezone.now() - ago,
                **changes,
            )
            for _ in range(count)
        )

    return make


def seconds(model):
    oldest = state(model).late.oldest
    return (timezone.now() - oldest).total_seconds() if oldest else 0


def metric(name, **labels):
    text = Client().get("/metrics").content.decode()
    wanted = ",".join(f'{label}="{value}"' for label, value in labels.items())
    found = re.search(rf"^{name}\{{{wanted}\}} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else None


def test_six_dead_endpoints_are_not_our_backlog(deliveries):
    probe = timezone.now() + timedelta(seconds=30)
    for _ in range(6):
        deliveries(50, ago=timedelta(days=3), failures_in_a_row=5, probe_at=probe)
    late, waiting = state(Delivery)
    assert (late.due, late.oldest) == (0, None)
    assert waiting == {"endpoint": 300}
    assert metric("opensend_queue_oldest_due_seconds", queue="webhook_deliveries") == 0
    assert metric("opensend_queue_waiting", queue="webhook_deliveries", reason="endpoint") == 300
    assert overdue_deliveries().count == 0


def test_a_healthy_endpoint_beside_dead_ones_is_late(deliveries):
    deliveries(5, ago=timedelta(days=3), failures_in_a_row=9, probe_at=timezone.now() + HOUR)
    deliveries(2, ago=HOUR)
    late, waiting = state(Delivery)
    assert (late.due, waiting) == (2, {"endpoint": 5})
    assert 3600 <= seconds(Delivery) < 3700
    assert metric("opensend_queue_due", queue="webhook_deliveries") == 2
    assert overdue_deliveries().count == 2


def test_a_probe_that_nobody_makes_is_late(deliveries):
    deliveries(5, failures_in_a_row=5, probe_at=timezone.now() - timedelta(minutes=1))
    assert state(Delivery).late.due == 5
    assert state(Delivery).waiting == {}


def test_a_probe_in_flight_is_not_late(deliveries):
    endpoint = deliveries(5, failures_in_a_row=5, probe_at=timezone.now() - timedelta(minutes=1))
    first = Delivery.objects.filter(endpoint=endpoint).first()
    Delivery.objects.filter(pk=first.pk).update(
        status="attempting", next_attempt_at=Now() + timedelta(seconds=60)
    )
    assert state(Delivery) == ((0, None), {"endpoint": 4})


@pytest.mark.parametrize(("in_flight", "late"), [(20, 0), (10, 0), (3, 30), (0, 30)])
def test_an_endpoint_that_is_busy_with_earlier_requests_waits(deliveries, in_flight, late):
    endpoint = deliveries(30 + in_flight)
    busy = Delivery.objects.filter(endpoint=endpoint).values("pk")[:in_flight]
    Delivery.objects.filter(pk__in=list(busy.values_list("pk", flat=True))).update(
        status="attempting", next_attempt_at=Now() + timedelta(seconds=60)
    )
    assert state(Delivery).late.due == late
    assert state(Delivery).waiting.get("endpoint", 0) == 30 - late


@pytest.mark.parametrize(("idle_for", "late"), [(0, 0), (60, 7)])
def test_an_endpoint_with_a_rate_limit_waits_while_it_is_served(deliveries, idle_for, late):
    endpoint = deliveries(7, rate_limit=1)
    filled_at = timezone.now() - timedelta(seconds=idle_for)
    EndpointRateLimit.objects.create(endpoint=endpoint, rate=1, tokens=0, filled_at=filled_at)
    assert state(Delivery).late.due == late
    assert state(Delivery).waiting == ({} if late else {"rate": 7})


def test_retries_and_disabled_endpoints_wait(deliveries):
    deliveries(3, ago=-HOUR)  # in an hour
    deliveries(4, status="disabled")
    assert state(Delivery) == ((0, None), {"disabled": 4, "retry": 3})


def test_counts_end_at_the_limit(deliveries, emails, monkeypatch):
    for module in ("webhooks.dispatch.backlog", "emails.sending.backlog", "core.queue.backlog"):
        monkeypatch.setattr(f"{module}.COUNT_LIMIT", 4)
    deliveries(3)
    deliveries(3)
    emails(6, provider="smtp")
    emails(6, status="scheduled", ago=-HOUR)
    assert state(Delivery).late.due == 4
    assert state(Email).late.due == 4
    assert state(Email).waiting == {"schedule": 4}


def test_scheduled_held_retried_and_unknown_mail_waits(emails):
    emails(2, status="scheduled", ago=-HOUR)
    emails(3, status="held", ago=-HOUR)
    emails(4, ago=-HOUR, last_error="The provider can't be reached.")
    emails(5, ago=-HOUR, last_error=DAILY_QUOTA)
    emails(6, status="unknown", ago=-HOUR)
    emails(7, status="sending", ago=-HOUR)  # in flight
    assert state(Email) == (
        (0, None),
        {"schedule": 2, "hold": 3, "retry": 4, "quota": 5, "evidence": 6},
    )
    assert overdue_alert().count == 0


@pytest.mark.parametrize("status", ["queued", "scheduled", "held", "unknown", "sending"])
def test_mail_whose_time_has_come_is_late(emails, status):
    emails(2, status=status)
    assert state(Email).late.due == 2
    assert 3600 <= seconds(Email) < 3700


def test_mail_that_the_rate_holds_back_waits_for_the_rate(emails):
    emails(9)
    SendRate.objects.create(name="us-east-1", max_rate=14)
    token_bucket.acquire("us-east-1", 14)  # as workers do that keep up
    assert state(Email) == ((0, None), {"rate": 9})
    assert overdue_alert().count == 0
    assert metric("opensend_queue_waiting", queue="emails", reason="rate") == 9


def test_mail_is_late_when_nobody_uses_the_rate(emails):
    emails(9)
    old = timezone.now() - HOUR
    SendRate.objects.create(name="us-east-1", max_rate=14, filled_at=old)
    assert state(Email).late.due == 9
    assert overdue_alert().count == 9


def test_one_regions_rate_does_not_excuse_another(emails):
    emails(9)
    emails(4, provider="smtp")
    SendRate.objects.create(name="us-east-1", max_rate=14)
    late, waiting = state(Email)
    assert (late.due, waiting) == (4, {"rate": 9})
    assert overdue_alert().count == 4


def test_mail_that_the_quota_holds_back_waits_for_the_quota(emails):
    emails(9)
    soon = timezone.now() + timedelta(minutes=5)
    rate = SendRate.objects.create(name="us-east-1", max_rate=14, tokens=7, paused_until=soon)
    assert state(Email) == ((0, None), {"quota": 9})
    rate.paused_until, rate.daily_quota, rate.sent_24h = None, 200, 200
    rate.save()
    assert state(Email) == ((0, None), {"quota": 9})


def test_the_start_page_says_what_waits(admin_client, emails):
    emails(3, status="held", ago=-HOUR)
    assert "3 hold" in admin_client.get("/admin/").content.decode()
