"""`/readyz` on databases that are not set up yet; other cases are in `test_api_surface.py`."""

from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.utils import timezone

from core import health
from core.models import Heartbeat
from core.tasks import record_heartbeat
from core.times import iso
from tests.database import record_unapplied

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _new_process(monkeypatch):
    """One that has not seen that everything is migrated."""
    monkeypatch.setattr(health, "_is_migrated", False)


@pytest.fixture
def _empty_database():
    with connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA nothing")
        cursor.execute("SET LOCAL search_path TO nothing")


@pytest.mark.usefixtures("_empty_database")
@pytest.mark.parametrize("migrated", [(), ("contenttypes",), ("core", "0001")], ids=str)
def test_a_database_without_all_tables_is_not_ready(migrated):
    if migrated:
        call_command("migrate", *migrated, verbosity=0)
    answer = Client().get("/readyz")
    state = answer.json()
    assert (answer.status_code, state["status"]) == (503, "not ready")
    assert state["database"] == "ok"
    assert int(state["migrations"].removesuffix(" not applied")) > 0
    assert state["redis"] == "ok"


def test_an_unapplied_migration_does_not_hide_other_checks():
    record_heartbeat()
    record_unapplied("core")
    state = Client().get("/readyz").json()
    assert state["migrations"] == "1 not applied"
    assert state["beat"] == "ok"
    assert "emails" in state["queues"]


def test_the_last_tick_is_always_reported():
    assert Client().get("/readyz").json()["last_beat_at"] is None
    record_heartbeat()
    state = Client().get("/readyz").json()
    assert (state["beat"], state["last_beat_at"]) == ("ok", iso(Heartbeat.objects.get().at))
    long_ago = timezone.now() - timedelta(hours=1)
    Heartbeat.objects.update(at=long_ago)
    state = Client().get("/readyz").json()
    assert state["beat"].startswith("last seen")
    assert state["last_beat_at"] == iso(long_ago)
