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
from tests.clients import wait_until

TASK = "events.tasks.dispatch_due_events"
QUEUE = settings.CELERY_TASK_DEFAULT_QUEUE
# The maximum for a request without Redis: 50 ms for Redis, and as much for everything else.
MAX_SECONDS = 0.1


def messages():
    """The task names of the messages in the queue."""
    return [json.loads(raw)["headers"]["task"] for raw in redis.client().lrange(QUEUE, 0, -1)]


@contextmanager
def redis_at(url, monkeypatch):
    """Use another Redis for everything except the broker."""
    redis.client.cache_clear()
    try:
        with monkeypatch.context() as patch:
            patch.setattr(settings, "REDIS_URL", url)
            patch.setattr(redis, "_unavailable_until", 0.0)
            yield
    finally:
        redis.client.cache_clear()


@contextmanager
def unresponsive_server():
    with socket.create_server(("127.0.0.1", 0), backlog=100) as server:
        yield f"redis://127.0.0.1:{server.getsockname()[1]}/0"


@pytest.fixture
def refusing_url():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    return f"redis://127.0.0.1:{port}/0"


def test_a_hint_reaches_the_queue_of_its_task(db):
    wake.hint(TASK)
    wait_until(lambda: messages() == [TASK])


def test_many_hints_for_a_waiting_task_are_one_message(db):
    for _ in range(200):
        wake.hint(TASK)
    wake.hint("domains.tasks.check_due_domains")
    wait_until(lambda: len(messages()) == 2)
    time.sleep(wake.GATHER * 4)
    assert sorted(messages()) == ["domains.tasks.check_due_domains", TASK]


def test_a_hint_adds_no_message_while_one_is_waiting(db):
    wake.hint(TASK)
    wait_until(lambda: messages() == [TASK])
    wake.hint(TASK)
    wake.hint("domains.tasks.check_due_domains")
    wait_until(lambda: len(messages()) > 1)
    assert sorted(messages()) == ["domains.tasks.check_due_domains", TASK]


def test_a_hint_after_the_task_started_is_a_new_message(db):
    wake.hint(TASK)
    wait_until(lambda: len(messages()) == 1)
    wake.acknowledge(TASK)
    wake.hint(TASK)
    wait_until(lambda: len(messages()) == 2)


def test_messages_expire(db):
    wake.hint(TASK)
    wait_until(messages)
    (raw,) = redis.client().lrange(QUEUE, 0, -1)
    assert json.loads(raw)["headers"]["expires"]


@pytest.mark.django_db(transaction=True)
def test_hints_are_sent_after_commit_and_never_after_a_rollback(hinted):
    with transaction.atomic():
        wake.wake(TASK)
        assert hinted == []
    assert hinted == [TASK]
    with transaction.atomic():
        wake.wake("emails.tasks.send_due_emails")
        transaction.set_rollback(True)
    assert hinted == [TASK]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("hangs", [False, True], ids=["refuses", "hangs"])
def test_an_unavailable_redis_hardly_delays_a_request(
    api, refusing_url, monkeypatch, settings, hangs
):
    settings.API_RATE_LIMIT = 100
    api.post("/api-keys", {"name": "warm"})
    with (
        unresponsive_server() as hanging,
        redis_at(hanging if hangs else refusing_url, monkeypatch),
    ):
        assert min(_seconds_of_a_request(api) for _ in range(3)) < MAX_SECONDS


def _seconds_of_a_request(api):
    redis._unavailable_until = 0.0  # call Redis again, as after the backoff
    started = time.perf_counter()
    assert api.post("/api-keys", {"name": "through"}).status_code == 201
    with transaction.atomic():
        wake.wake(TASK)
    return time.perf_counter() - started


def test_redis_is_not_called_for_a_while_after_a_failure(db, monkeypatch):
    counted = REDIS_UNAVAILABLE.labels("test")._value
    with unresponsive_server() as url, redis_at(url, monkeypatch):
        before = counted.get()
        started = time.perf_counter()
        for _ in range(50):
            assert redis.attempt("test", lambda client: client.ping()) is None
        assert time.perf_counter() - started < 50 * 0.04 / 4  # much less than 40 ms per call
        assert counted.get() == before + 50


def test_redis_is_used_again_after_the_backoff(db, monkeypatch, refusing_url):
    monkeypatch.setattr(redis, "BACKOFF", 0.05)
    with redis_at(refusing_url, monkeypatch):
        assert redis.attempt("test", lambda client: client.ping()) is None
        silent_until = redis._unavailable_until
    monkeypatch.setattr(redis, "_unavailable_until", silent_until)
    assert redis.attempt("test", lambda client: client.ping()) is None
    time.sleep(0.06)
    assert redis.attempt("test", lambda client: client.ping()) is True


@pytest.mark.django_db(transaction=True)
def test_a_sweep_processes_rows_whose_hint_was_lost(workspace, monkeypatch, refusing_url):
    with redis_at(refusing_url, monkeypatch), transaction.atomic():
        publish([Fact("webhook.test", workspace.pk, CATALOGUE["webhook.test"].example_data())])
    assert dispatch_due().claimed == 1
    assert not Event.objects.exclude(next_attempt_at=None).exists()
    swept = {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()}
    assert TASK in swept


@pytest.mark.django_db(transaction=True)
def test_every_hinted_task_exists_and_is_in_the_beat_schedule():
    from celery import current_app

    import domains.queues
    import emails.queues
    import events.queues

    hinted = {domains.queues.CHECK.task, emails.queues.SEND.task, events.queues.DISPATCH.task}
    current_app.loader.import_default_modules()
    swept = {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()}
    assert swept <= set(current_app.tasks)
    assert hinted <= swept


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_exception_loses_one_hint_but_not_later_ones(db, monkeypatch):
    def broken(task):
        raise RuntimeError("a bug")

    with monkeypatch.context() as patch:
        patch.setattr(wake, "_send", broken)
        wake.hint(TASK)
        sender = next(thread for thread in threading.enumerate() if thread.name == "wake")
        sender.join(3)
        assert not sender.is_alive()
    wake.hint(TASK)
    wait_until(lambda: messages() == [TASK])


def test_hints_from_many_threads_start_one_sender_thread(db):
    threads = [threading.Thread(target=wake.hint, args=(TASK,)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [thread.name for thread in threading.enumerate()].count("wake") == 1


def test_a_broker_that_hangs_while_sending_times_out(db, monkeypatch, tmp_path):
    server = Redis(tmp_path / "redis")
    url = server.start()
    try:
        tasks = iter(["events.tasks.dispatch_due_events", "core.tasks.record_heartbeat"])
        # Skip the check in Redis, so that it hangs exactly when the message is sent.
        monkeypatch.setattr(wake.redis, "attempt", lambda use, action: True)
        broker = wake.current_app.connection_for_write(url, transport_options=wake.IMPATIENT)
        assert wake._send(next(tasks), broker)
        os.kill(server.pid, signal.SIGSTOP)
        started = time.monotonic()
        assert not wake._send(next(tasks), broker)
        assert time.monotonic() - started < 10
    finally:
        os.kill(server.pid, signal.SIGCONT)
        server.stop()
