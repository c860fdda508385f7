"""Who is running: each kind of worker and beat, in `/readyz`, its warnings and the start page."""

import os
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from core.models import Heartbeat
from core.queue import heartbeat
from core.queue.worker_loop import stopping
from core.tasks import record_heartbeat
from core.times import iso

ROOT = Path(__file__).resolve().parents[2]
KINDS = ["database", "sending", "webhooks"]

pytestmark = pytest.mark.django_db


def seen(kind, ago=timedelta(0)):
    Heartbeat.objects.update_or_create(name=f"worker:{kind}", defaults={"at": timezone.now() - ago})


def readyz():
    answer = Client().get("/readyz")
    assert answer.status_code == 200
    return answer.json()


def test_every_queue_needs_a_kind_of_worker():
    assert heartbeat.kinds() == KINDS


def test_all_that_run_cause_no_warning():
    record_heartbeat()
    for kind in KINDS:
        seen(kind)
    state = readyz()
    assert state["warnings"] == []
    assert {kind: worker["state"] for kind, worker in state["workers"].items()} == dict.fromkeys(
        KINDS, "ok"
    )


def test_no_worker_and_no_beat_is_warned_of():
    assert readyz()["warnings"] == [
        "No worker for the queue `database` is running: never seen",
        "No worker for the queue `sending` is running: never seen",
        "No worker for the queue `webhooks` is running: never seen",
        "No beat is running, or no worker answers it: never seen",
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_one_missing_kind_is_named_with_when_it_was_last_seen(kind):
    record_heartbeat()
    for each in KINDS:
        seen(each)
    seen(kind, ago=timedelta(minutes=1))
    state = readyz()
    (warning,) = state["warnings"]
    assert warning.startswith(f"No worker for the queue `{kind}` is running: last seen 6")
    at = Heartbeat.objects.get(name=f"worker:{kind}").at
    assert state["workers"][kind]["last_seen_at"] == iso(at)


def test_a_worker_that_missed_one_heartbeat_is_not_missing():
    seen("sending", ago=heartbeat.EVERY * 3)
    assert readyz()["workers"]["sending"]["state"] == "ok"


def test_the_start_page_names_them(admin_client):
    seen("sending")
    seen("webhooks", ago=timedelta(minutes=5))
    page = admin_client.get("/admin/").content.decode()
    for kind in KINDS:
        assert f"Worker: {kind}" in page
    assert "last seen 30" in page
    assert "No worker for the queue `database` is running: never seen" in page


@pytest.mark.django_db(transaction=True)
def test_a_heartbeat_goes_on_while_a_pass_lasts_and_survives_a_failure(monkeypatch):
    saved, original = [], heartbeat.save

    def save(names):
        saved.append(names)
        if len(saved) == 1:
            raise psycopg.OperationalError("the database is away")
        original(names)

    monkeypatch.setattr(heartbeat, "save", save)
    monkeypatch.setattr(heartbeat, "EVERY", timedelta(milliseconds=50))
    try:
        heartbeat.start(["sending"])
        end = time.monotonic() + 10
        while not Heartbeat.objects.filter(name="worker:sending").exists():
            assert time.monotonic() < end
            time.sleep(0.02)
    finally:
        stopping.set()
        time.sleep(0.1)
        stopping.clear()
    assert saved[0] == ["worker:sending"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", KINDS)
def test_a_real_worker_is_seen(kind):
    url, question, query = os.environ["DATABASE_URL"].partition("?")
    url = url.rpartition("/")[0] + f"/{connection.settings_dict['NAME']}" + question + query
    command = ["-m", "celery", "-A", "opensend", "worker", "--pool", "solo", "-Q", kind]
    with subprocess.Popen(
        [sys.executable, *command, "--without-gossip", "--without-mingle"],
        cwd=ROOT,
        env=os.environ | {"DATABASE_URL": url, "DATABASE_POOL_SIZE": "2"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as worker:
        try:
            end = time.monotonic() + 30
            while heartbeat.last_seen()[kind] is None:
                assert worker.poll() is None
                assert time.monotonic() < end
                time.sleep(0.1)
        finally:
            worker.terminate()
    assert [name for name, at in heartbeat.last_seen().items() if at] == [kind]


@pytest.mark.parametrize("path", ["/healthz", "/healthz/", "/readyz", "/readyz/", "/metrics"])
@pytest.mark.parametrize("host", ["10.0.0.7", "10.0.0.7:8000", "[fd00::7]:8000", "web", "bad host"])
def test_health_paths_answer_any_host(path, host, settings):
    settings.ALLOWED_HOSTS = ["testserver"]
    assert Client(headers={"Host": host}).get(path).status_code == 200


def test_health_paths_answer_without_a_host():
    assert Client(SERVER_NAME="10.0.0.7").get("/healthz").status_code == 200


@pytest.mark.parametrize("path", ["/admin/login/", "/emails", "/healthz/x", "/docs"])
def test_other_paths_still_check_the_host(path, settings):
    settings.ALLOWED_HOSTS = ["testserver"]
    assert Client(headers={"Host": "10.0.0.7"}).get(path).status_code == 400
