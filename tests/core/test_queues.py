"""Every queue has a task, a sweep and a bounded pass that counts."""

import json
from io import StringIO

import pytest
from django.apps import apps
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db.models.functions import Now
from django.utils.module_loading import import_string

from core.queue.backlog import COUNT_LIMIT, backlog
from core.queue.queues import Batch, queues_of
from core.queue.work import work_models
from core.queue.worker_loop import run_pass
from events.models import Event

QUEUES = queues_of(settings.APPS)
by_name = pytest.mark.parametrize("queue", QUEUES, ids=lambda queue: queue.name)


def test_every_work_item_has_a_queue():
    assert {queue.model for queue in QUEUES} == {model._meta.label for model in work_models()}


@by_name
def test_a_queue_is_swept_by_a_task_that_exists(queue):
    from opensend.celery import app

    app.loader.import_default_modules()
    assert queue.task in app.tasks
    assert settings.CELERY_BEAT_SCHEDULE[queue.task]["schedule"] == settings.SWEEP_INTERVAL
    routed = settings.CELERY_TASK_ROUTES.get(queue.task, {"queue": "database"})
    assert routed == {"queue": queue.celery_queue}
    assert issubclass(apps.get_model(queue.model), import_string("core.queue.work.WorkItem"))


def test_every_scheduled_task_exists():
    from opensend.celery import app

    app.loader.import_default_modules()
    assert settings.CELERY_BEAT_SCHEDULE.keys() <= app.tasks.keys()


@by_name
@pytest.mark.django_db(transaction=True)
def test_a_pass_over_an_empty_queue_counts_nothing(queue):
    assert run_pass(queue, seconds=0.2) == (0, 0, 0, 0)


@pytest.mark.django_db
def test_a_pass_counts_what_it_did_and_what_is_left(workspace, monkeypatch):
    Event.objects.bulk_create(
        Event(workspace=workspace, type="contact.created", body="{}", next_attempt_at=Now())
        for _ in range(5)
    )
    batches = [Batch(3, 2, 1), Batch(0)]
    (queue,) = (each for each in QUEUES if each.name == "dispatch-events")
    monkeypatch.setattr("events.dispatch.dispatch_due", lambda: batches.pop(0))
    assert run_pass(queue)._asdict() == {
        "claimed": 3,
        "processed": 2,
        "failed": 1,
        "remaining": 5,
    }


@pytest.mark.django_db
def test_the_command_runs_one_pass_and_prints_the_counts():
    out = StringIO()
    call_command("run_queue", "dispatch-events", json=True, stdout=out)
    counts = {"claimed": 0, "processed": 0, "failed": 0, "remaining": 0}
    assert json.loads(out.getvalue()) == counts
    with pytest.raises(CommandError, match="invalid choice"):
        call_command("run_queue", "no-such-queue")


@pytest.mark.django_db
def test_the_backlog_is_counted_up_to_a_limit(workspace, monkeypatch):
    monkeypatch.setattr("core.queue.backlog.COUNT_LIMIT", 3)
    Event.objects.bulk_create(
        Event(workspace=workspace, type="contact.created", body="{}", next_attempt_at=Now())
        for _ in range(5)
    )
    assert backlog(Event).due == 3
    assert backlog(Event).oldest is not None
    assert COUNT_LIMIT == 10_000


@pytest.mark.parametrize("model", work_models(), ids=lambda model: model._meta.label)
def test_due_conditions_are_those_of_partial_indexes(model):
    """Else counting what is due would read every row that ever was."""
    indexed = [
        dict(index.condition.children)
        for index in model._meta.indexes
        if "next_attempt_at" in index.fields and index.condition
    ]
    for condition in model.DUE_CONDITIONS:
        wanted = {"next_attempt_at__isnull": False, **dict(condition.children)}
        assert wanted in indexed
