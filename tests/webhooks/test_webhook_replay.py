"""An event that was delivered, or given up, goes out again as it was."""

import threading

import pytest
from django.db import connection, transaction
from django.db.models import F
from django.db.models.functions import Now
from receiving_end import response
from standardwebhooks import Webhook

from core.queue.work import MAX_CRASHES
from webhooks import replay
from webhooks.dispatch.claim import claim
from webhooks.dispatch.loop import deliver_due
from webhooks.dispatch.results import Result, record
from webhooks.dispatch.retry_policy import DELAYS, JITTER
from webhooks.models import Attempt, Delivery, Endpoint
from webhooks.services import update_endpoint

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def endpoint(endpoint_at, sink):
    return endpoint_at(sink.url())


@pytest.fixture
def ask(api, endpoint):
    """Ask for a replay of an event, as Alice."""

    def post(event, **headers):
        return api.post(f"/webhooks/{endpoint.pk}/events/whd_{event.pk}/replay", headers=headers)

    return post


def waits():
    """Seconds until each delivery is due, the oldest event's first."""
    rows = Delivery.objects.order_by("event_id").annotate(wait=F("next_attempt_at") - Now())
    return [row.wait and row.wait.total_seconds() for row in rows]


def end_leases():
    Delivery.objects.filter(status="attempting").update(next_attempt_at=Now())


def test_a_success_is_sent_again_as_it_was_with_the_next_number(endpoint, happen, ask, sink):
    [event] = happen()
    deliver_due()
    for _ in range(2):
        answer = ask(event)
        assert answer.status_code == 202, answer.json()
        body = answer.json()
        assert (body["object"], body["id"]) == ("webhook_event", f"whd_{event.pk}")
        assert (body["status"], body["next_attempt_at"] is None) == ("pending", False)
        assert deliver_due() == 1
    assert [got.header("X-Attempt") for got in sink.received] == ["1", "2", "3"]
    assert {got.body for got in sink.received} == {event.body.encode()}
    assert {got.header("webhook-id") for got in sink.received} == {f"whd_{event.pk}"}
    for got in sink.received:
        headers = {name: got.header(name) for name in got.headers}
        Webhook(endpoint.signing_secret).verify(got.body, headers)
    assert list(Attempt.objects.order_by("pk").values_list("number", flat=True)) == [1, 2, 3]
    delivery = Delivery.objects.get()
    assert (delivery.status, delivery.attempts) == ("success", 3)


def test_what_was_given_up_gets_the_whole_schedule_once_more(endpoint, happen, ask, sink):
    sink.answers["/hook"] = response(500)
    [event] = happen()
    Delivery.objects.update(
        status="failed", attempts=10, last_error="http_500", next_attempt_at=None
    )
    Endpoint.objects.update(failures_in_a_row=0)
    assert ask(event).status_code == 202
    deliver_due()
    delivery = Delivery.objects.get()
    assert (delivery.status, delivery.attempts) == ("pending", 11)
    assert sink.received[0].header("X-Attempt") == "11"
    first = DELAYS[0].total_seconds()
    assert first * (1 - JITTER) - 1 < waits()[0] < first * (1 + JITTER)


def test_what_killed_dispatchers_is_not_given_up_again_unsent(endpoint, happen, ask, sink):
    [event] = happen()
    for _ in range(MAX_CRASHES):
        assert len(claim(1, share=20)) == 1  # and the dispatcher died
        end_leases()
    assert deliver_due() == 0
    assert Delivery.objects.get().last_error == "dispatcher_died"
    ask(event)
    assert deliver_due() == 1
    assert Delivery.objects.get().status == "success"


def test_what_waits_for_its_next_attempt_goes_at_once_and_keeps_its_place(
    endpoint, happen, ask, sink
):
    sink.answers["/hook"] = response(500)
    [event] = happen()
    deliver_due()
    before = Delivery.objects.get()
    assert waits()[0] > 1
    assert ask(event).status_code == 202
    after = Delivery.objects.get()
    assert waits()[0] <= 0
    assert (after.claims, after.attempts_before_replay) == (before.claims, 0)
    deliver_due()
    second = DELAYS[1].total_seconds()
    assert second * (1 - JITTER) - 1 < waits()[0] < second * (1 + JITTER)


def test_what_is_being_sent_stays_as_it_is(endpoint, happen, ask, sink, dispatching):
    sink.answers["/hook"] = sink.hold
    [event] = happen()
    with dispatching():
        sink.wait_for(1)
        before = Delivery.objects.values().get()
        answer = ask(event)
        assert (answer.status_code, answer.json()["status"]) == (202, "attempting")
        assert Delivery.objects.values().get() == before
        sink.release()
    assert Delivery.objects.get().status == "success"
    assert len(sink.received) == 1


def _result(job, status):
    from core.outbound import Outcome
    from webhooks.dispatch import loop

    outcome = Outcome(
        status=status,
        error=None,
        message="",
        body=b"",
        truncated=False,
        duration_ms=1,
        address="127.0.0.1",
    )
    return Result(job=job, outcome=outcome, at=loop.timezone.now())


def test_a_result_that_comes_after_the_replay_does_not_settle_it(endpoint, happen, ask):
    """Of a request whose dispatcher lost its lease, or written twice after a broken commit."""
    [event] = happen()
    [late] = claim(10, share=20)
    end_leases()
    [job] = claim(10, share=20)
    record([_result(job, 200)])
    ask(event)
    record([_result(job, 200), _result(late, 500)])
    delivery = Delivery.objects.get()
    assert (delivery.status, delivery.attempts) == ("pending", 1)
    assert Attempt.objects.count() == 1


def test_an_idempotency_key_replays_once(endpoint, happen, ask, sink):
    [event] = happen()
    deliver_due()
    first = ask(event, **{"Idempotency-Key": "again"})
    deliver_due()
    repeated = ask(event, **{"Idempotency-Key": "again"})
    assert deliver_due() == 0
    assert len(sink.received) == 2
    assert repeated.status_code == 202
    assert repeated.json() == first.json()


def test_a_key_that_was_used_for_one_event_is_free_for_another(endpoint, happen, ask):
    first, second = happen(count=2)
    deliver_due()
    for event in (first, second):
        assert ask(event, **{"Idempotency-Key": "again"}).json()["id"] == f"whd_{event.pk}"
    assert deliver_due() == 2


def test_nothing_is_replayed_to_a_disabled_endpoint(endpoint, happen, ask, sink):
    [event] = happen()
    deliver_due()
    update_endpoint(endpoint, {"status": "disabled"})
    answer = ask(event)
    assert (answer.status_code, answer.json()["name"]) == (409, "webhook_disabled")
    assert replay.replay(list(Delivery.objects.all())) == 0
    assert Delivery.objects.get().status == "success"


def test_strangers_replay_nothing(stranger, endpoint, happen):
    [event] = happen()
    deliver_due()
    answer = stranger.post(f"/webhooks/{endpoint.pk}/events/whd_{event.pk}/replay")
    assert answer.status_code == 404
    assert Delivery.objects.get().status == "success"


def test_an_event_of_another_endpoint_is_not_replayed(api, endpoint, endpoint_at, sink, happen):
    [event] = happen()
    other = endpoint_at(sink.url("other"))
    assert api.post(f"/webhooks/{other.pk}/events/{event.pk}/replay").status_code == 404


@pytest.mark.parametrize("count", [1, 30])
def test_replaying_many_costs_as_many_statements_as_one(
    endpoint, happen, count, django_assert_num_queries
):
    happen(count=count)
    deliver_due()
    deliveries = list(Delivery.objects.all())
    with django_assert_num_queries(4):  # begin, lock, update, commit
        assert replay.replay(deliveries) == count


def test_two_replays_at_once_are_one(endpoint, happen, sink):
    happen(count=3)
    deliver_due()
    deliveries = list(Delivery.objects.all())
    counted = []

    def replay_too():
        counted.append(replay.replay(deliveries))
        connection.close()

    with transaction.atomic():
        assert replay.replay(deliveries) == 3
        other = threading.Thread(target=replay_too)
        other.start()
        other.join(10)
        assert counted == [0]  # and did not wait
    assert deliver_due() == 3
    assert len(sink.received) == 6


def test_a_replay_passes_over_what_the_dispatcher_has_locked(endpoint, happen):
    """Each locks several deliveries: if they waited for each other, one of them would fail."""
    happen(count=2)
    jobs = claim(2, share=20)
    deliveries = list(Delivery.objects.all())
    counted = []

    def replay_too():
        counted.append(replay.replay(deliveries))
        connection.close()

    with transaction.atomic():
        record([_result(job, 500) for job in jobs])
        other = threading.Thread(target=replay_too)
        other.start()
        other.join(10)
        assert counted == [0]
    assert set(Delivery.objects.values_list("status", "attempts")) == {("pending", 1)}
