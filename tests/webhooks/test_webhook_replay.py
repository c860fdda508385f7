"""Replay: delivered and failed events are sent again unchanged."""

import pytest
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now
from standardwebhooks import Webhook

from core.queue.work import MAX_CRASHES
from tests.database import make_due, run_at_once
from tests.factories import delivery_result
from tests.webhooks.webhook_sink import response
from webhooks import replay
from webhooks.dispatch.claim import claim
from webhooks.dispatch.loop import deliver_due
from webhooks.dispatch.results import record
from webhooks.dispatch.retry_policy import DELAYS, JITTER
from webhooks.models import Attempt, Delivery, Endpoint
from webhooks.services import update_endpoint

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def endpoint(endpoint_at, sink):
    return endpoint_at(sink.url())


@pytest.fixture
def request_replay(api, endpoint):
    """Request a replay of an event as Alice."""

    def post(event, **headers):
        return api.post(f"/webhooks/{endpoint.pk}/events/whd_{event.pk}/replay", headers=headers)

    return post


def seconds_until_due():
    """Seconds until each delivery is due, in the order of their events."""
    rows = Delivery.objects.order_by("event_id").annotate(wait=F("next_attempt_at") - Now())
    return [row.wait and row.wait.total_seconds() for row in rows]


def test_a_replay_sends_the_same_body_with_the_next_attempt_number(
    endpoint, publish_events, request_replay, sink
):
    [event] = publish_events()
    deliver_due()
    for _ in range(2):
        answer = request_replay(event)
        assert answer.status_code == 202, answer.json()
        body = answer.json()
        assert (body["object"], body["id"]) == ("webhook_event", f"whd_{event.pk}")
        assert (body["status"], body["next_attempt_at"] is None) == ("pending", False)
        assert deliver_due().claimed == 1
    assert [got.header("X-Attempt") for got in sink.received] == ["1", "2", "3"]
    assert {got.body for got in sink.received} == {event.body.encode()}
    assert {got.header("webhook-id") for got in sink.received} == {f"whd_{event.pk}"}
    for got in sink.received:
        headers = {name: got.header(name) for name in got.headers}
        Webhook(endpoint.signing_secret).verify(got.body, headers)
    assert list(Attempt.objects.order_by("pk").values_list("number", flat=True)) == [1, 2, 3]
    delivery = Delivery.objects.get()
    assert (delivery.status, delivery.attempts) == ("success", 3)


def test_replaying_a_failed_delivery_restarts_the_retry_schedule(
    endpoint, publish_events, request_replay, sink
):
    sink.answers["/hook"] = response(500)
    [event] = publish_events()
    Delivery.objects.update(
        status="failed", attempts=10, last_error="http_500", next_attempt_at=None
    )
    Endpoint.objects.update(failures_in_a_row=0)
    assert request_replay(event).status_code == 202
    deliver_due()
    delivery = Delivery.objects.get()
    assert (delivery.status, delivery.attempts) == ("pending", 11)
    assert sink.received[0].header("X-Attempt") == "11"
    first = DELAYS[0].total_seconds()
    assert first * (1 - JITTER) - 1 < seconds_until_due()[0] < first * (1 + JITTER)


def test_replaying_a_poisoned_delivery_sends_it(endpoint, publish_events, request_replay, sink):
    [event] = publish_events()
    for _ in range(MAX_CRASHES):
        assert len(claim(1, share=20)) == 1  # and the dispatcher crashed
        make_due(Delivery.objects.filter(status="attempting"))
    assert deliver_due().claimed == 0
    assert Delivery.objects.get().last_error == "dispatcher_died"
    request_replay(event)
    assert deliver_due().claimed == 1
    assert Delivery.objects.get().status == "success"


def test_replaying_a_pending_delivery_sends_it_now_and_keeps_its_place_in_the_schedule(
    endpoint, publish_events, request_replay, sink
):
    sink.answers["/hook"] = response(500)
    [event] = publish_events()
    deliver_due()
    before = Delivery.objects.get()
    assert seconds_until_due()[0] > 1
    assert request_replay(event).status_code == 202
    after = Delivery.objects.get()
    assert seconds_until_due()[0] <= 0
    assert (after.claims, after.attempts_before_replay) == (before.claims, 0)
    deliver_due()
    second = DELAYS[1].total_seconds()
    assert second * (1 - JITTER) - 1 < seconds_until_due()[0] < second * (1 + JITTER)


def test_a_delivery_in_flight_is_not_replayed(
    endpoint, publish_events, request_replay, sink, dispatching
):
    sink.answers["/hook"] = sink.hold
    [event] = publish_events()
    with dispatching():
        sink.wait_for(1)
        before = Delivery.objects.values().get()
        answer = request_replay(event)
        assert (answer.status_code, answer.json()["status"]) == (202, "attempting")
        assert Delivery.objects.values().get() == before
        sink.release()
    assert Delivery.objects.get().status == "success"
    assert len(sink.received) == 1


def test_a_late_result_does_not_settle_the_replay(endpoint, publish_events, request_replay):
    """The result is from a lost lease, or repeated after a broken commit."""
    [event] = publish_events()
    [late] = claim(10, share=20)
    make_due(Delivery.objects.filter(status="attempting"))
    [job] = claim(10, share=20)
    record([delivery_result(job, 200)])
    request_replay(event)
    record([delivery_result(job, 200), delivery_result(late, 500)])
    delivery = Delivery.objects.get()
    assert (delivery.status, delivery.attempts) == ("pending", 1)
    assert Attempt.objects.count() == 1


def test_an_idempotency_key_replays_once(endpoint, publish_events, request_replay, sink):
    [event] = publish_events()
    deliver_due()
    first = request_replay(event, **{"Idempotency-Key": "again"})
    deliver_due()
    repeated = request_replay(event, **{"Idempotency-Key": "again"})
    assert deliver_due().claimed == 0
    assert len(sink.received) == 2
    assert repeated.status_code == 202
    assert repeated.json() == first.json()


def test_an_idempotency_key_is_scoped_to_one_event(endpoint, publish_events, request_replay):
    first, second = publish_events(count=2)
    deliver_due()
    for event in (first, second):
        assert (
            request_replay(event, **{"Idempotency-Key": "again"}).json()["id"] == f"whd_{event.pk}"
        )
    assert deliver_due().claimed == 2


def test_deliveries_of_a_disabled_endpoint_are_not_replayed(
    endpoint, publish_events, request_replay, sink
):
    [event] = publish_events()
    deliver_due()
    update_endpoint(endpoint, {"status": "disabled"})
    answer = request_replay(event)
    assert (answer.status_code, answer.json()["name"]) == (409, "webhook_disabled")
    assert replay.replay(list(Delivery.objects.all())) == 0
    assert Delivery.objects.get().status == "success"


def test_strangers_get_404(stranger, endpoint, publish_events):
    [event] = publish_events()
    deliver_due()
    answer = stranger.post(f"/webhooks/{endpoint.pk}/events/whd_{event.pk}/replay")
    assert answer.status_code == 404
    assert Delivery.objects.get().status == "success"


def test_an_event_of_another_endpoint_is_not_replayed(
    api, endpoint, endpoint_at, sink, publish_events
):
    [event] = publish_events()
    other = endpoint_at(sink.url("other"))
    assert api.post(f"/webhooks/{other.pk}/events/{event.pk}/replay").status_code == 404


@pytest.mark.parametrize("count", [1, 30])
def test_replaying_takes_a_constant_number_of_statements(
    endpoint, publish_events, count, django_assert_num_queries
):
    publish_events(count=count)
    deliver_due()
    deliveries = list(Delivery.objects.all())
    with django_assert_num_queries(4):  # begin, lock, update, commit
        assert replay.replay(deliveries) == count


def test_concurrent_replays_send_once(endpoint, publish_events, sink):
    publish_events(count=3)
    deliver_due()
    deliveries = list(Delivery.objects.all())
    with transaction.atomic():
        assert replay.replay(deliveries) == 3
        assert run_at_once(lambda: replay.replay(deliveries)) == [0]  # and did not wait
    assert deliver_due().claimed == 3
    assert len(sink.received) == 6


def test_a_replay_skips_deliveries_locked_by_the_dispatcher(endpoint, publish_events):
    """Both lock several deliveries: waiting for each other could deadlock."""
    publish_events(count=2)
    jobs = claim(2, share=20)
    deliveries = list(Delivery.objects.all())
    with transaction.atomic():
        record([delivery_result(job, 500) for job in jobs])
        assert run_at_once(lambda: replay.replay(deliveries)) == [0]
    assert set(Delivery.objects.values_list("status", "attempts")) == {("pending", 1)}
