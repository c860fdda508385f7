"""`/readyz` beside what `test_api_surface.py` has of it: databases that are not set up yet."""

from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client
from django.utils import timezone

from core.models import Heartbeat
from core.tasks import tick
from core.times import iso

pytestmark = pytest.mark.django_db


@pytest.fixture
def _empty_database():
    with connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA nothing")
        cursor.execute("SET LOCAL search_path TO nothing")


@pytest.mark.usefixtures("_empty_database")
@pytest.mark.parametrize("migrated", [[], ["contenttypes"], ["core"]], ids=str)
def test_a_database_without_all_its_tables_is_not_ready_and_says_so(migrated):
    for app in migrated:
        call_command("migrate", app, verbosity=0)
    answer = Client().get("/readyz")
    told = answer.json()
    assert (answer.status_code, told["status"]) == (503, "not ready")
    assert told["database"] == "ok"
    assert int(told["migrations"].removesuffix(" not applied")) > 0
    assert told["redis"] == "ok"


def test_before_a_later_migration_all_else_is_told():
    tick()
    MigrationRecorder(connection).record_unapplied("core", "0001_initial")
    told = Client().get("/readyz").json()
    assert told["migrations"] == "1 not applied"
    assert told["beat"] == "ok"
    assert "emails" in told["queues"]


def test_the_last_tick_is_told_whether_it_is_late_or_not():
    assert Client().get("/readyz").json()["last_beat_at"] is None
    tick()
    told = Client().get("/readyz").json()
    assert (told["beat"], told["last_beat_at"]) == ("ok", iso(Heartbeat.objects.get().at))
    long_ago = timezone.now() - timedelta(hours=1)
    Heartbeat.objects.update(at=long_ago)
    told = Client().get("/readyz").json()
    assert told["beat"].startswith("last seen")
    assert told["last_beat_at"] == iso(long_ago)
