"""Recovery: missed and failed events of a time span are sent again."""

import json
from datetime import UTC, datetime, timedelta
from io import StringIO
from types import SimpleNamespace
from uuid import UUID, uuid4

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts.services import create_workspace
from core.db import bulk
from core.db.ids import uuid7_floor
from core.queue.work import MAX_CRASHES
from core.times import iso
from events.models import Event
from tests.database import make_due, run_at_once
from tests.webhooks.webhook_sink import response
from webhooks import queues, replay
from webhooks.cleanup import clean_up_some
from webhooks.dispatch.loop import deliver_due
from webhooks.models import Delivery, Endpoint, Recovery
from webhooks.replay import BATCH, count, recover_due, start_recovery
from webhooks.services import delete_endpoint, update_endpoint
from webhooks.tasks import recover_due_webhooks

pytestmark = pytest.mark.django_db(transaction=True)

ANCIENT = datetime(2020, 1, 1, tzinfo=UTC)
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = {"since": NOON, "until": NOON + timedelta(days=1)}


@pytest.fixture
def endpoint(endpoint_at, sink):
    """An endpoint at the sink, created long ago."""
    made = endpoint_at(sink.url())
    Endpoint.objects.filter(pk=made.pk).update(created_at=ANCIENT)
    made.refresh_from_db()
    return made


@pytest.fixture
def request_recovery(api, endpoint):
    """Request a recovery as Alice; returns the response."""

    def post(since, headers=None, **more):
        body = {"since": iso(since), **more}
        return api.post(f"/webhooks/{endpoint.pk}/recover", body, "json", headers=headers)

    return post


@pytest.fixture
def past_events(workspace):
    """Create dispatched events of Alice's without deliveries, one millisecond apart."""

    def make(count=1, *, at=NOON, kind="contact.created", data=None, of=workspace, **about):
        rows = [
            _event(of, at + timedelta(milliseconds=number), kind, data or {}, about)
            for number in range(count)
        ]
        bulk.insert(rows)
        return rows

    return make


def _event(workspace, at, kind, data, about):
    body = json.dumps({"type": kind, "data": data}, separators=(",", ":"))
    return Event(
        id=UUID(int=uuid7_floor(at).int + 1),
        workspace=workspace,
        type=kind,
        body=body,
        created_at=at,
        next_attempt_at=None,
        **about,
    )


def set_status(endpoint, status):
    update_endpoint(endpoint, {"status": status})
    while clean_up_some():
        pass


def received(sink):
    return sorted(got.header("X-Event-Id") for got in sink.received)


def ids(*events):
    return sorted(f"whd_{event.pk}" for event in events)


def recover_all():
    while recover_due().claimed:
        pass


# --- Which events are sent again ---------------------------------------------------------


def test_a_reenabled_endpoint_gets_failed_and_missed_events(
    endpoint, publish_events, request_recovery, sink
):
    publish_events()
    deliver_due()
    since = timezone.now()
    sink.answers["/hook"] = response(500)
    [failed] = publish_events()
    deliver_due()
    set_status(endpoint, "disabled")
    missed = publish_events(count=3)
    set_status(endpoint, "enabled")
    sink.answers.clear()
    sink.received.clear()
    [after] = publish_events()
    answer = request_recovery(since)
    assert answer.status_code == 202, answer.json()
    body = answer.json()
    assert (body["status"], body["recovered"], body["error"]) == ("done", 4, None)
    deliver_due()
    assert received(sink) == ids(failed, *missed, after)
    assert set(Delivery.objects.values_list("status", flat=True)) == {"success"}
    numbers = {got.header("X-Event-Id"): got.header("X-Attempt") for got in sink.received}
    assert (numbers[f"whd_{failed.pk}"], numbers[f"whd_{missed[0].pk}"]) == ("2", "1")

    assert request_recovery(since).json()["recovered"] == 0
    assert deliver_due().claimed == 0


def test_all_resends_successful_deliveries_too(endpoint, publish_events, request_recovery, sink):
    sent = publish_events(count=2)
    deliver_due()
    sink.received.clear()
    assert request_recovery(ANCIENT).json()["recovered"] == 0
    assert request_recovery(ANCIENT, only="all").json()["recovered"] == 2
    deliver_due()
    assert received(sink) == ids(*sent)
    assert {got.header("X-Attempt") for got in sink.received} == {"2"}


def test_only_all_includes_events_before_the_endpoint_was_created(past_events, endpoint, sink):
    past_events(at=NOON)
    [after] = past_events(at=NOON + timedelta(hours=2))
    endpoint.created_at = NOON + timedelta(hours=1)
    endpoint.save()
    assert start_recovery(endpoint, **DAY, only="failed").recovered == 1
    deliver_due()
    assert received(sink) == ids(after)
    Delivery.objects.all().delete()
    assert start_recovery(endpoint, **DAY, only="all").recovered == 2
    deliver_due()

    # A failed delivery of an event from before the endpoint counts like any other failure.
    Delivery.objects.update(status="failed", last_error="timeout", next_attempt_at=None)
    assert start_recovery(endpoint, **DAY, only="failed").recovered == 2


def test_since_is_inclusive_and_until_exclusive(past_events, request_recovery, sink):
    hours = [past_events(at=NOON + timedelta(hours=hour))[0] for hour in range(5)]
    until = iso(NOON + timedelta(hours=3))
    assert request_recovery(NOON + timedelta(hours=1), until=until).json()["recovered"] == 2
    deliver_due()
    assert received(sink) == ids(*hours[1:3])


def test_created_at_decides_when_the_id_is_slightly_older(past_events, endpoint, request_recovery):
    past_events(at=NOON - timedelta(seconds=2))
    past_events(at=NOON - timedelta(seconds=1))
    Event.objects.filter(pk=Event.objects.latest("pk").pk).update(created_at=NOON)
    assert request_recovery(NOON, until=iso(NOON + timedelta(seconds=1))).json()["recovered"] == 1


def test_times_may_have_any_zone(past_events, api, endpoint):
    past_events()
    span = {"since": "2026-03-01T13:00:00+01:00", "until": "2026-03-01T07:01:00-05:00"}
    answer = api.post(f"/webhooks/{endpoint.pk}/recover", span, "json").json()
    assert (answer["since"], answer["until"]) == (
        "2026-03-01T12:00:00.000Z",
        "2026-03-01T12:01:00.000Z",
    )
    assert answer["recovered"] == 1


def test_a_span_before_all_events_recovers_nothing(past_events, request_recovery):
    past_events()
    answer = request_recovery(datetime.min.replace(tzinfo=UTC), until="0001-01-02T00:00:00Z")
    assert (answer.status_code, answer.json()["recovered"]) == (202, 0)


def test_events_of_other_workspaces_are_not_sent(past_events, request_recovery, sink):
    past_events(of=create_workspace(name="Bob's"))
    [mine] = past_events(at=NOON + timedelta(seconds=1))
    request_recovery(ANCIENT, only="all")
    deliver_due()
    assert received(sink) == ids(mine)


def test_pending_deliveries_and_those_in_flight_are_skipped(
    endpoint, publish_events, past_events, sink, dispatching
):
    sink.answers["/hook"] = response(500)
    publish_events()
    deliver_due()
    sink.answers["/hook"] = sink.hold
    publish_events()
    with dispatching():
        sink.wait_for(2)
        before = list(Delivery.objects.order_by("pk").values())
        assert {row["status"] for row in before} == {"pending", "attempting"}
        for only in Recovery.Only.values:
            done = start_recovery(endpoint, since=ANCIENT, until=timezone.now(), only=only)
            assert done.recovered == 0
        assert list(Delivery.objects.order_by("pk").values()) == before
        sink.release()


DOMAIN, OTHER = uuid4(), uuid4()


@pytest.mark.parametrize("only", ["failed", "all"])
@pytest.mark.parametrize(
    ("subscription", "sent"),
    [
        ({"event_types": ["*"]}, 7),
        ({"event_types": ["contact.*"]}, 2),
        ({"event_types": ["email.sent", "webhook.failing"]}, 4),
        ({"event_types": ["email.sent"], "domain_ids": [DOMAIN]}, 1),
        ({"event_types": ["*"], "domain_ids": [DOMAIN]}, 2),
        ({"event_types": ["*"], "domain_ids": [DOMAIN], "inbox_ids": [OTHER]}, 1),
        ({"event_types": ["domain.deleted"]}, 0),
    ],
)
def test_recovery_and_count_respect_types_and_filters(
    past_events, endpoint, subscription, sent, only
):
    for field, value in subscription.items():
        setattr(endpoint, field, value)
    endpoint.save()
    other = f"{uuid4()}"
    for number, (kind, about, data) in enumerate(
        [
            ("contact.created", {}, {}),
            ("contact.updated", {}, {}),
            ("email.sent", {}, {}),
            ("email.sent", {"domain_id": DOMAIN}, {}),
            ("email.sent", {"domain_id": OTHER, "inbox_id": OTHER}, {}),
            ("webhook.failing", {}, {"webhook_id": other}),
            ("webhook.failing", {}, {"webhook_id": str(endpoint.pk)}),
            ("inbox.suspended", {"pod_id": DOMAIN}, {}),
        ]
    ):
        past_events(kind=kind, data=data, at=NOON + timedelta(minutes=number), **about)
    assert count(endpoint, **DAY, only=only) == sent
    assert start_recovery(endpoint, **DAY, only=only).recovered == sent
    assert count(endpoint, **DAY, only=only) == 0


@pytest.mark.parametrize(("only", "due"), [("failed", 3), ("all", 7)])
def test_the_count_depends_on_the_delivery_status(past_events, endpoint, only, due):
    endpoint.created_at = NOON + timedelta(minutes=1)
    endpoint.save()
    past_events(2)
    states = {"failed": 1, "success": 2, "pending": 4, "attempting": 8}
    later = past_events(sum(states.values()) + 2, at=NOON + timedelta(hours=1))
    replay.create_deliveries([(endpoint.pk, event.pk) for event in later[2:]])
    deliveries = list(Delivery.objects.order_by("event_id"))
    for state, number in states.items():
        chosen, deliveries = deliveries[:number], deliveries[number:]
        finished = {"next_attempt_at": None} if state in {"failed", "success"} else {}
        Delivery.objects.filter(pk__in=[each.pk for each in chosen]).update(
            status=state, last_error="timeout" if state == "failed" else "", **finished
        )
    assert count(endpoint, **DAY, only=only) == due
    assert start_recovery(endpoint, **DAY, only=only).recovered == due


def test_counting_is_bounded(past_events, endpoint, monkeypatch):
    past_events(5)
    monkeypatch.setattr(replay, "COUNT_LIMIT", 3)
    assert count(endpoint, **DAY, only="failed") == 3


# --- Batches -----------------------------------------------------------------------------


def test_the_first_batch_runs_immediately_and_the_rest_in_the_task(
    past_events, api, endpoint, request_recovery
):
    past_events(2 * BATCH + 500)
    answer = request_recovery(ANCIENT).json()
    assert (answer["status"], answer["recovered"]) == ("pending", BATCH)
    assert Delivery.objects.count() == BATCH
    recover_due_webhooks()
    url = f"/webhooks/{endpoint.pk}/recoveries/{answer['id']}"
    done = api.get(url).json()
    assert (done["status"], done["recovered"]) == ("done", 2 * BATCH + 500)
    assert Delivery.objects.filter(status="pending").count() == 2 * BATCH + 500


def test_a_lost_hint_is_found_by_the_sweep(settings):
    assert recover_due_webhooks.name == queues.RECOVER.task
    assert queues.RECOVER.task in settings.CELERY_BEAT_SCHEDULE


def test_each_batch_wakes_the_workers(past_events, endpoint, hinted):
    past_events(BATCH + 1)
    start_recovery(endpoint, **DAY, only="failed")
    assert set(hinted) == {queues.DELIVER.task, queues.RECOVER.task}
    hinted.clear()
    recover_due()
    assert queues.DELIVER.task in hinted


@pytest.mark.parametrize("batch", [1, 2, 3])
def test_a_worker_crash_in_a_batch_loses_and_repeats_nothing(
    past_events, endpoint, sink, monkeypatch, batch
):
    """The crash happens at the worst moment: everything is written, nothing is committed."""
    past_events(2 * BATCH + 500)
    recovery = start_recovery(endpoint, **DAY, only="failed")
    for _ in range(batch - 1):
        recover_due()
    done = Recovery.objects.get().recovered

    def crash(self, settlements):
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr("webhooks.models.RecoveryQuerySet.settle", crash)
        if Recovery.objects.get().next_attempt_at is not None:
            with pytest.raises(SystemExit):
                recover_due()
    assert Recovery.objects.get().recovered == done == Delivery.objects.count()
    assert recover_due().claimed == 0  # still leased
    make_due(Recovery)
    recover_all()
    recovery.refresh_from_db()
    assert (replay.status_of(recovery), recovery.recovered) == ("done", 2 * BATCH + 500)
    assert Delivery.objects.count() == 2 * BATCH + 500


def test_a_worker_that_lost_its_lease_changes_nothing(past_events, endpoint, monkeypatch):
    last = past_events(BATCH + 10)[BATCH:]
    start_recovery(endpoint, **DAY, only="failed")
    original = replay.subscription_of

    def another_takes_over():
        make_due(Recovery)
        assert recover_due().claimed == 1
        Delivery.objects.filter(event__in=last).delete()

    def stall(of):
        monkeypatch.undo()
        run_at_once(another_takes_over)
        return original(of)

    monkeypatch.setattr(replay, "subscription_of", stall)
    assert recover_due().claimed == 1
    assert Recovery.objects.get().recovered == BATCH + 10
    assert not Delivery.objects.filter(event__in=last).exists()


def test_a_recovery_that_repeatedly_crashes_workers_fails(past_events, api, endpoint):
    past_events(BATCH + 1)
    recovery = start_recovery(endpoint, **DAY, only="failed")
    for _ in range(MAX_CRASHES):
        assert len(Recovery.objects.claim(limit=1)) == 1  # and the worker crashed
        make_due(Recovery)
    recover_all()
    shown = api.get(f"/webhooks/{endpoint.pk}/recoveries/{recovery.pk}").json()
    assert (shown["status"], shown["recovered"]) == ("failed", BATCH)
    assert shown["error"] == "Workers crashed repeatedly during this recovery."


def test_a_failing_recovery_does_not_block_others(
    past_events, endpoint, endpoint_at, monkeypatch, caplog
):
    past_events(BATCH + 1)
    start_recovery(endpoint, **DAY, only="failed")
    other = endpoint_at("https://hooks.example.com/other")
    start_recovery(other, **DAY, only="all")
    original = replay.subscription_of

    def broken(of):
        if of == endpoint:
            raise RuntimeError("broken")
        return original(of)

    monkeypatch.setattr(replay, "subscription_of", broken)
    recover_all()
    assert Delivery.objects.filter(endpoint=other).count() == BATCH + 1
    assert "A batch of recovery" in caplog.text
    monkeypatch.undo()
    make_due(Recovery)
    recover_all()
    assert Delivery.objects.filter(endpoint=endpoint).count() == BATCH + 1


@pytest.mark.parametrize(
    "end", [lambda row: update_endpoint(row, {"status": "disabled"}), delete_endpoint]
)
def test_disabling_or_deleting_the_endpoint_ends_the_recovery(past_events, endpoint, end):
    past_events(BATCH + 1)
    recovery = start_recovery(endpoint, **DAY, only="failed")
    end(endpoint)
    recover_all()
    recovery.refresh_from_db()
    assert (replay.status_of(recovery), recovery.recovered) == ("failed", BATCH)
    assert recovery.last_error == "The webhook was disabled or deleted in the meantime."
    assert Delivery.objects.count() == BATCH


def test_two_concurrent_recoveries_send_everything_once(past_events, endpoint):
    events = past_events(2 * BATCH + 500)
    replay.create_deliveries([(endpoint.pk, event.pk) for event in events[::3]])
    Delivery.objects.update(status="failed", last_error="timeout", next_attempt_at=None)

    def recover():
        recovery = start_recovery(endpoint, **DAY, only="failed")
        replay.finish(recovery)
        return recovery.recovered

    assert sum(run_at_once(recover, recover)) == 2 * BATCH + 500
    assert Delivery.objects.filter(status="pending").count() == 2 * BATCH + 500
    assert set(Delivery.objects.values_list("claims", flat=True)) == {0, 1}


@pytest.mark.parametrize("size", [3, BATCH + 300])
def test_a_batch_takes_a_constant_number_of_statements(
    past_events, endpoint, size, django_assert_num_queries
):
    notice = {"webhook_id": "another's"}
    old = past_events(3, kind="webhook.failing", data=notice) + past_events(
        size, at=NOON + timedelta(hours=1)
    )
    replay.create_deliveries([(endpoint.pk, event.pk) for event in old[::2]])
    Delivery.objects.update(status="failed", last_error="timeout", next_attempt_at=None)
    # enabled, begin, recovery, endpoint, events, create, lock, update, settle, commit
    with django_assert_num_queries(10):
        start_recovery(endpoint, **DAY, only="all")


def test_event_bodies_are_not_loaded(past_events, endpoint, django_assert_num_queries):
    past_events(5)
    with django_assert_num_queries(9) as queries:
        start_recovery(endpoint, **DAY, only="failed")
    [select] = [each["sql"] for each in queries if 'FROM "events"' in each["sql"]]
    assert select.count("body") == 1
    assert "CASE WHEN" in select


# --- The API -----------------------------------------------------------------------------


def test_a_recovery_shows_its_parameters(past_events, api, endpoint, request_recovery):
    past_events(2)
    answer = request_recovery(NOON, until="2026-03-02T00:00:00Z", only="all").json()
    assert answer == {
        "object": "webhook_recovery",
        "id": answer["id"],
        "webhook_id": str(endpoint.pk),
        "since": "2026-03-01T12:00:00.000Z",
        "until": "2026-03-02T00:00:00.000Z",
        "only": "all",
        "status": "done",
        "recovered": 2,
        "error": None,
        "created_at": answer["created_at"],
    }
    assert api.get(f"/webhooks/{endpoint.pk}/recoveries/{answer['id']}").json() == answer
    newer = request_recovery(NOON).json()
    listed = api.get(f"/webhooks/{endpoint.pk}/recoveries").json()
    assert (listed["data"], listed["has_more"]) == ([newer, answer], False)


def test_until_is_now_by_default(request_recovery):
    before = iso(timezone.now())
    assert before <= request_recovery(NOON).json()["until"] <= iso(timezone.now())


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "since"),
        ({"since": "yesterday"}, "since"),
        ({"since": "2026-03-01T12:00:00"}, "since"),
        ({"since": "2026-03-01"}, "since"),
        ({"since": 1772366400}, "since"),
        ({"since": "0001-01-01T00:00:00+10:00"}, "since"),
        ({"since": "2026-03-01T12:00:00Z", "until": "2026-03-01T12:00:00Z"}, "since"),
        ({"since": "2026-03-01T12:00:00Z", "until": "2026-03-01T12:00:00+01:00"}, "since"),
        ({"since": "2999-01-01T00:00:00Z"}, "since"),
        ({"since": "2026-03-01T12:00:00Z", "until": "2999-01-01T00:00:00Z"}, "until"),
        ({"since": "2026-03-01T12:00:00Z", "until": ""}, "until"),
        ({"since": "2026-03-01T12:00:00Z", "only": "pending"}, "only"),
        ({"since": "2026-03-01T12:00:00Z", "limit": 5}, "limit"),
    ],
)
def test_an_invalid_span_is_refused_with_its_field(api, endpoint, body, field):
    answer = api.post(f"/webhooks/{endpoint.pk}/recover", body, "json")
    assert answer.status_code == 422
    assert set(answer.json()["details"]["fields"]) == {field}
    assert not Recovery.objects.exists()


def test_a_disabled_endpoint_cannot_be_recovered(past_events, endpoint, request_recovery):
    past_events()
    update_endpoint(endpoint, {"status": "disabled"})
    answer = request_recovery(ANCIENT)
    assert (answer.status_code, answer.json()["name"]) == (409, "webhook_disabled")
    assert not Recovery.objects.exists()


def test_an_idempotency_key_recovers_once(past_events, request_recovery):
    past_events()
    first, second = (
        request_recovery(ANCIENT, headers={"Idempotency-Key": "once"}) for _ in range(2)
    )
    assert (first.status_code, second.status_code) == (202, 202)
    assert first.json() == second.json()
    assert Recovery.objects.count() == 1


def test_recoveries_of_other_workspaces_are_404(
    past_events, stranger, api, endpoint, endpoint_at, request_recovery
):
    past_events()
    recovery = request_recovery(ANCIENT).json()["id"]
    url = f"/webhooks/{endpoint.pk}"
    assert stranger.post(f"{url}/recover", {"since": iso(NOON)}, "json").status_code == 404
    assert stranger.get(f"{url}/recoveries").status_code == 404
    assert stranger.get(f"{url}/recoveries/{recovery}").status_code == 404
    other = endpoint_at("https://hooks.example.com/other")
    assert api.get(f"/webhooks/{other.pk}/recoveries/{recovery}").status_code == 404
    assert api.get(f"/webhooks/{other.pk}/recoveries").json()["data"] == []
    assert api.get(f"{url}/recoveries/nonsense").status_code == 404


# --- The command -------------------------------------------------------------------------


def run(*args):
    output = StringIO()
    call_command("recover_webhook", *args, stdout=output)
    return output.getvalue()


def test_the_command_prints_the_count_first_and_needs_no_worker(past_events, endpoint):
    past_events(BATCH + 5)
    output = run(str(endpoint.pk), "--since", "2026-03-01T12:00:00Z")
    assert output.splitlines() == [
        f"{BATCH + 5} events would be sent to {endpoint.url}.",
        f"{BATCH + 5} events are queued for sending.",
    ]
    assert Delivery.objects.filter(status="pending").count() == BATCH + 5


def test_the_command_can_only_count(past_events, endpoint):
    past_events(3)
    span = ("--since", "2026-03-01T12:00:00Z", "--until", "2026-03-01T12:00:00.002Z")
    output = run(str(endpoint.pk), *span, "--dry-run")
    assert output == f"2 events would be sent to {endpoint.url}.\n"
    assert not Recovery.objects.exists()
    assert not Delivery.objects.exists()


def test_the_command_resends_successful_deliveries_with_only_all(past_events, endpoint):
    past_events(2)
    run(str(endpoint.pk), "--since", "2026-03-01T12:00:00Z")
    deliver_due()
    result = json.loads(run(str(endpoint.pk), "--since", "2026-03-01T12:00:00Z", "--json"))
    assert (result["counted"], result["recovery"]["recovered"]) == (0, 0)
    result = json.loads(
        run(str(endpoint.pk), "--since", "2026-03-01T12:00:00Z", "--only", "all", "--json")
    )
    assert result == {
        "webhook_id": str(endpoint.pk),
        "counted": 2,
        "recovery": {
            "id": str(Recovery.objects.latest("pk").pk),
            "status": "done",
            "recovered": 2,
            "error": None,
        },
    }


def test_the_command_waits_for_a_batch_claimed_by_a_worker(past_events, endpoint, monkeypatch):
    past_events(BATCH + 5)
    recovery = start_recovery(endpoint, **DAY, only="failed")
    assert len(Recovery.objects.claim(limit=1)) == 1  # by a worker, which crashes
    monkeypatch.setattr(replay, "time", SimpleNamespace(sleep=lambda seconds: make_due(Recovery)))
    replay.finish(recovery)
    assert (replay.status_of(recovery), recovery.recovered) == ("done", BATCH + 5)


@pytest.mark.parametrize("given", ["nonsense", str(UUID(int=1))])
def test_the_command_fails_for_an_unknown_endpoint(db, given):
    with pytest.raises(CommandError, match=f"There is no webhook {given}") as raised:
        run(given, "--since", "2026-03-01T12:00:00Z")
    assert raised.value.returncode == 1


def test_the_command_refuses_a_disabled_endpoint_and_a_bad_span(past_events, endpoint):
    with pytest.raises(CommandError, match="must be before `until`"):
        run(str(endpoint.pk), "--since", "2999-01-01T00:00:00Z")
    with pytest.raises(CommandError, match="must have a time zone"):
        run(str(endpoint.pk), "--since", "2026-03-01T12:00:00")
    update_endpoint(endpoint, {"status": "disabled"})
    with pytest.raises(CommandError, match="The webhook is disabled"):
        run(str(endpoint.pk), "--since", "2026-03-01T12:00:00Z")
    assert not Recovery.objects.exists()
