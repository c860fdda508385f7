import json
import os
import signal
import socket
import threading
import time
from contextlib import contextmanager

import pytest
from django.conf import settings
from django.db import transaction

from core import redis
from core.metrics import REDIS_UNAVAILABLE
from core.queue import wake
from devstack.embedded import Redis
from events.catalogue import CATALOGUE
from events.dispatch import dispatch_due
from events.models import Event
from events.services import Fact, publish

TASK = "events.tasks.dispatch_due_events"
QUEUE = settings.CELERY_TASK_DEFAULT_QUEUE
# What Redis may cost a request: 50 ms, and as much again for the rest of it.
SPENT = 0.1


def messages():
    """The names of the tasks that workers were told of."""
    return [json.loads(raw)["headers"]["task"] for raw in redis.client().lrange(QUEUE, 0, -1)]


def wait_for(condition, timeout=3):
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


@contextmanager
def redis_at(url, monkeypatch):
    """Another Redis, known to all that use one, but to the broker."""
    redis.client.cache_clear()
    try:
        with monkeypatch.context() as patch:
            patch.setattr(settings, "REDIS_URL", url)
            patch.setattr(redis, "_silent_until", 0.0)
            yield
    finally:
        redis.client.cache_clear()


@contextmanager
def something_that_never_answers():
    with socket.create_server(("127.0.0.1", 0), backlog=100) as server:
        yield f"redis://127.0.0.1:{server.getsockname()[1]}/0"


@pytest.fixture
def refusing():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    return f"redis://127.0.0.1:{port}/0"


def test_a_hint_reaches_the_queue_of_its_task(db):
    wake.hint(TASK)
    wait_for(lambda: messages() == [TASK])


def test_many_hints_for_a_task_that_nobody_has_begun_are_one_message(db):
    for _ in range(200):
        wake.hint(TASK)
    wake.hint("domains.tasks.check_due_domains")
    wait_for(lambda: len(messages()) == 2)
    time.sleep(wake.GATHER * 4)
    assert sorted(messages()) == ["domains.tasks.check_due_domains", TASK]


def test_while_a_message_waits_a_further_hint_is_none(db):
    wake.hint(TASK)
    wait_for(lambda: messages() == [TASK])
    wake.hint(TASK)
    wake.hint("domains.tasks.check_due_domains")
    wait_for(lambda: len(messages()) > 1)
    assert sorted(messages()) == ["domains.tasks.check_due_domains", TASK]


def test_once_the_worker_looks_a_new_hint_is_a_new_message(db):
    wake.hint(TASK)
    wait_for(lambda: len(messages()) == 1)
    wake.heard(TASK)
    wake.hint(TASK)
    wait_for(lambda: len(messages()) == 2)


def test_a_message_grows_stale_rather_than_old(db):
    wake.hint(TASK)
    wait_for(messages)
    (raw,) = redis.client().lrange(QUEUE, 0, -1)
    assert json.loads(raw)["headers"]["expires"]


@pytest.mark.django_db(transaction=True)
def test_workers_are_told_after_commit_and_never_after_a_rollback(monkeypatch):
    told = []
    monkeypatch.setattr(wake, "hint", told.append)
    with transaction.atomic():
        wake.wake(TASK)
        assert told == []
    assert told == [TASK]
    with transaction.atomic():
        wake.wake("emails.tasks.send_due_emails")
        transaction.set_rollback(True)
    assert told == [TASK]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("hangs", [False, True], ids=["refuses", "hangs"])
def test_a_request_hardly_waits_for_a_redis_that_does_not_answer(
    api, refusing, monkeypatch, settings, hangs
):
    settings.API_RATE_LIMIT = 100
    api.post("/api-keys", {"name": "warm"})
    with (
        something_that_never_answers() as hanging,
        redis_at(hanging if hangs else refusing, monkeypatch),
    ):
        assert min(_seconds_of_a_request(api) for _ in range(3)) < SPENT


def _seconds_of_a_request(api):
    redis._silent_until = 0.0  # each asks Redis anew, as after a rest
    began = time.perf_counter()
    assert api.post("/api-keys", {"name": "through"}).status_code == 201
    with transaction.atomic():
        wake.wake(TASK)
    return time.perf_counter() - began


def test_redis_is_left_alone_for_a_while_after_it_failed(db, monkeypatch):
    counted = REDIS_UNAVAILABLE.labels("test")._value
    with something_that_never_answers() as url, redis_at(url, monkeypatch):
        before = counted.get()
        began = time.perf_counter()
        for _ in range(50):
            assert redis.attempt("test", lambda client: client.ping()) is None
        assert time.perf_counter() - began < 50 * 0.04 / 4  # that is, not 40 ms for each
        assert counted.get() == before + 50


def test_redis_is_used_again_once_it_is_back(db, monkeypatch, refusing):
    monkeypatch.setattr(redis, "REST", 0.05)
    with redis_at(refusing, monkeypatch):
        assert redis.attempt("test", lambda client: client.ping()) is None
        resting_until = redis._silent_until
    monkeypatch.setattr(redis, "_silent_until", resting_until)
    assert redis.attempt("test", lambda client: client.ping()) is None
    time.sleep(0.06)
    assert redis.attempt("test", lambda client: client.ping()) is True


@pytest.mark.django_db(transaction=True)
def test_the_sweep_finds_what_a_lost_hint_missed(workspace, monkeypatch, refusing):
    with redis_at(refusing, monkeypatch), transaction.atomic():
        publish([Fact("webhook.test", workspace.pk, CATALOGUE["webhook.test"].example_data())])
    assert dispatch_due() == 1
    assert not Event.objects.exclude(next_attempt_at=None).exists()
    swept = {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()}
    assert TASK in swept


@pytest.mark.django_db(transaction=True)
def test_every_task_that_is_hinted_at_exists_and_is_swept():
    from celery import current_app

    from domains.services import CHECK
    from emails.services import SEND
    from events.services import DISPATCH

    current_app.loader.import_default_modules()
    swept = {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()}
    assert swept <= set(current_app.tasks)
    assert {CHECK, SEND, DISPATCH} <= swept


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_bug_costs_one_hint_and_not_all_that_follow(db, monkeypatch):
    def broken(task):
        raise RuntimeError("a bug")

    with monkeypatch.context() as patch:
        patch.setattr(wake, "_send", broken)
        wake.hint(TASK)
        teller = next(thread for thread in threading.enumerate() if thread.name == "wake")
        teller.join(3)
        assert not teller.is_alive()
    wake.hint(TASK)
    wait_for(lambda: messages() == [TASK])


def test_hints_from_many_threads_start_one_teller(db):
    threads = [threading.Thread(target=wake.hint, args=(TASK,)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [thread.name for thread in threading.enumerate()].count("wake") == 1


def test_a_broker_that_hangs_in_the_middle_holds_hints_up_no_longer_than_it_hangs(
    db, monkeypatch, tmp_path
):
    server = Redis(tmp_path / "redis")
    url = server.start()
    try:
        told = iter(["events.tasks.dispatch_due_events", "core.tasks.tick"])
        # The look into Redis is skipped, so that it hangs exactly when the message is sent.
        monkeypatch.setattr(wake.redis, "attempt", lambda use, action: True)
        broker = wake.current_app.connection_for_write(url, transport_options=wake.IMPATIENT)
        assert wake._send(next(told), broker)
        os.kill(server.pid, signal.SIGSTOP)
        started = time.monotonic()
        assert not wake._send(next(told), broker)
        assert time.monotonic() - started < 10
    finally:
        os.kill(server.pid, signal.SIGCONT)
        server.stop()
