"""`Deliver now` and its like never make anything later: they act now, or say why not."""

from datetime import timedelta

import pytest
from django.utils import timezone

from domains.models import Domain
from domains.services import check_now
from emails.models import Email
from emails.services import retry_now
from events.models import Event
from ingest.models import ProviderEvent
from ingest.services import reprocess
from webhooks.dispatch.claim import claim
from webhooks.models import Delivery, Endpoint
from webhooks.replay import replay
from webhooks.services import DeliverNow, create_endpoint, deliver_now

pytestmark = pytest.mark.django_db(transaction=True)
NOW = timezone.now()
HOUR = timedelta(hours=1)


@pytest.fixture
def endpoint(workspace):
    return create_endpoint(workspace=workspace, url="http://127.0.0.1:1024/", event_types=["*"])[0]


def deliveries(endpoint, count, **fields):
    created = []
    for number in range(count):
        event = Event.objects.create(workspace=endpoint.workspace, type="email.sent", body="{}")
        at = {"next_attempt_at": NOW - 3 * HOUR + timedelta(minutes=number)}
        created.append(Delivery.objects.create(endpoint=endpoint, event=event, **at | fields))
    return created


def half_open(endpoint):
    Endpoint.objects.filter(pk=endpoint.pk).update(
        failures_in_a_row=9, failing_since=NOW - HOUR, probe_at=NOW + HOUR
    )


def claimed():
    return [job.delivery.pk for job in claim(10, share=20)]


def test_a_half_open_endpoint_is_probed_now_with_the_chosen_delivery(endpoint):
    half_open(endpoint)
    *_, last = deliveries(endpoint, 5)
    assert claimed() == []
    assert deliver_now([last]) == DeliverNow(attempted=1, behind_probe=0, disabled=0)
    assert claimed() == [last.pk]


def test_several_are_next_after_the_probe(endpoint):
    half_open(endpoint)
    first, *_, fourth, last = deliveries(endpoint, 5)
    assert deliver_now([fourth, last]) == DeliverNow(attempted=1, behind_probe=1, disabled=0)
    (probe,) = claimed()
    assert probe in {fourth.pk, last.pk}
    rest = Delivery.objects.filter(status="pending").order_by("next_attempt_at")
    assert rest.first().pk in {fourth.pk, last.pk}
    assert rest.last() == Delivery.objects.filter(status="pending").latest("next_attempt_at")
    # The probe is in flight: the other waits for its result.
    assert deliver_now([rest.first()]) == DeliverNow(0, behind_probe=1, disabled=0)
    assert claimed() == []
    first.refresh_from_db()
    assert first.next_attempt_at == NOW - 3 * HOUR


def test_at_a_healthy_endpoint_it_goes_ahead_of_the_backlog(endpoint):
    deliveries(endpoint, 5)
    (scheduled,) = deliveries(endpoint, 1, next_attempt_at=NOW + HOUR)
    assert deliver_now([scheduled]) == DeliverNow(1, 0, 0)
    assert [job.delivery.pk for job in claim(1, share=20)] == [scheduled.pk]


def test_a_disabled_endpoint_is_named_as_the_reason(endpoint):
    (waiting,) = deliveries(endpoint, 1)
    Endpoint.objects.update(status="disabled")
    assert deliver_now([waiting]) == DeliverNow(0, 0, disabled=1)
    waiting.refresh_from_db()
    assert waiting.next_attempt_at == NOW - 3 * HOUR


def test_the_admin_says_why_a_delivery_waits(endpoint, admin_client):
    from django.urls import reverse

    def press(*rows):
        form = {"action": "deliver_now", "index": "0", "confirmed": "yes"}
        form["_selected_action"] = [row.pk for row in rows]
        page = admin_client.post(reverse("admin:webhooks_delivery_changelist"), form, follow=True)
        return [str(message) for message in page.context["messages"]]

    half_open(endpoint)
    first, second = deliveries(endpoint, 2)
    assert press(first, second) == [
        "1 delivery will be attempted now.",
        "1 wait for the result of a probe, and are next after it: a half-open endpoint gets one"
        " request at a time.",
    ]
    Endpoint.objects.update(status="disabled")
    assert press(first) == ["1 cannot be attempted: their endpoint is disabled. Enable it first."]
    Delivery.objects.update(status="success", next_attempt_at=None)
    assert press(first) == ["0 deliveries will be attempted now."]


def test_no_action_makes_an_overdue_row_later(endpoint, domain, workspace):
    overdue = NOW - 3 * HOUR
    email = Email.objects.create(
        workspace=workspace,
        sender="ada@example.com",
        to=["bob@example.org"],
        message_id="<1@example.com>",
        text="Hi",
        region="us-east-1",
        status="queued",
        next_attempt_at=overdue,
    )
    Domain.objects.update(next_attempt_at=overdue)
    callback = ProviderEvent.objects.create(
        source="ses", event_id="1", body="{}", next_attempt_at=overdue
    )
    (pending,) = deliveries(endpoint, 1)

    assert retry_now([email]) == check_now([domain]) == replay([pending]) == 1
    assert reprocess(ProviderEvent.objects.all()) == 1
    for row in (email, domain, callback, pending):
        row.refresh_from_db()
        assert row.next_attempt_at <= overdue, row


def test_finished_rows_are_due_at_once(endpoint, domain):
    (done,) = deliveries(endpoint, 1, status="success", next_attempt_at=None)
    assert replay([done]) == check_now([domain]) == 1
    assert Delivery.objects.due().count() == Domain.objects.due().count() == 1
