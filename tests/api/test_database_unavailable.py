"""Without a database that can be read and written, callers get a 503; nothing is a bug."""

import json
from contextlib import contextmanager

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client

from contacts.models import Suppression
from core.db.outages import is_outage
from core.models import Heartbeat
from emails.models import Email

pytestmark = pytest.mark.django_db(transaction=True)

MAIL = {"from": "a@example.com", "to": "b@example.net", "subject": "Hello", "text": "Hi"}
# ERRCODEs (PostgreSQL documentation, appendix A) that are raised by a trigger, as by the server.
REFUSALS = {
    "disk full": "53100",
    "out of memory": "53200",
    "too many connections": "53300",
    "shutting down": "57P01",
    "starting up": "57P03",
    "statement timeout": "57014",
    "lock timeout": "55P03",
    "deadlock": "40P01",
    "serialization failure": "40001",
    "I/O error": "58030",
}


@contextmanager
def refusing(state, *tables):
    """Inserts into these tables fail with this SQLSTATE."""
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
            f" $$ BEGIN RAISE EXCEPTION 'refused' USING ERRCODE = '{state}'; END $$"
        )
        for table in tables:
            cursor.execute(
                f"CREATE TRIGGER refuse BEFORE INSERT ON {table} EXECUTE FUNCTION refuse()"
            )
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP FUNCTION refuse CASCADE")


@contextmanager
def read_only():
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")
    try:
        yield
    finally:
        connection.close()


@contextmanager
def unreachable(monkeypatch, **settings):
    connection.close()
    for name, value in settings.items():
        monkeypatch.setitem(connection.settings_dict, name, value)
    try:
        yield
    finally:
        monkeypatch.undo()
        connection.close()


UNREACHABLE = {
    "no such database": {"NAME": "gone"},
    "connection refused": {"HOST": "127.0.0.1", "PORT": "9"},
    "no such socket": {"HOST": "/nowhere"},
}


def assert_unavailable(answer):
    assert answer.status_code == 503, answer.content
    assert int(answer["retry-after"]) >= 1
    assert answer["x-request-id"]
    assert json.loads(answer.content)["name"] == "storage_unavailable"


@pytest.mark.usefixtures("domain")
@pytest.mark.parametrize("state", REFUSALS.values(), ids=REFUSALS)
def test_a_refused_write_is_503(api, state):
    with refusing(state, "emails", "suppressions"):
        assert_unavailable(api.post("/emails", MAIL, headers={"Idempotency-Key": "k"}))
        assert_unavailable(api.post("/emails/batch", [MAIL]))
        assert_unavailable(api.post("/suppressions", {"email": "x@example.org"}))
    assert not Email.objects.exists()
    assert not Suppression.objects.exists()
    # The same request succeeds once the database is back.
    assert api.post("/emails", MAIL, headers={"Idempotency-Key": "k"}).status_code == 200


@pytest.mark.usefixtures("domain")
def test_a_read_only_database_is_503_for_writes_only(api):
    with read_only():
        assert api.get("/emails").status_code == 200
        assert_unavailable(api.post("/emails", MAIL))
        assert_unavailable(api.post("/contacts", {"email": "x@example.org"}))


@pytest.mark.parametrize("how", UNREACHABLE.values(), ids=UNREACHABLE)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/emails"),
        ("POST", "/emails"),
        ("GET", "/api/domains"),
        ("DELETE", "/suppressions/x@example.org"),
        ("PATCH", "/contacts/x"),
        ("GET", "/suppressions/export"),
    ],
)
def test_an_unreachable_database_is_503_everywhere(api, monkeypatch, how, method, path):
    with unreachable(monkeypatch, **how):
        assert_unavailable(api.generic(method, path, "{}", "application/json"))


def test_a_bug_is_still_a_500(api):
    client = Client(raise_request_exception=False)
    client.defaults.update(api.defaults)
    with refusing("XX000", "suppressions"):
        answer = client.post(
            "/suppressions", {"email": "x@example.org"}, content_type="application/json"
        )
    assert (answer.status_code, answer.json()["name"]) == (500, "internal_server_error")


@pytest.mark.parametrize("path", ["/admin/login/", "/admin/", "/t/u/x"])
def test_pages_say_so_to_people(monkeypatch, path):
    client = Client(raise_request_exception=False)
    client.force_login(User.objects.create_superuser("operator"))
    with unreachable(monkeypatch, NAME="gone"):
        answer = client.get(path, headers={"Accept": "text/html"})
    if path == "/t/u/x":  # the token is checked first
        assert answer.status_code < 500
        return
    assert answer.status_code == 503
    assert answer["content-type"].startswith("text/plain")
    assert answer["retry-after"]
    assert b"try again" in answer.content


@pytest.mark.parametrize("state", ["53100", "57P01"])
def test_readiness_notices_that_nothing_can_be_written(state):
    assert Client().get("/readyz").json()["writes"] == "ok"
    assert not Heartbeat.objects.exists()
    with refusing(state, "heartbeats"):
        answer = Client().get("/readyz")
    assert answer.status_code == 503
    assert "refused" in answer.json()["writes"]


def test_readiness_notices_a_read_only_database():
    with read_only():
        answer = Client().get("/readyz")
    state = answer.json()
    assert (answer.status_code, state["database"]) == (503, "ok")
    assert "read-only" in state["writes"]


@pytest.mark.parametrize("how", UNREACHABLE.values(), ids=UNREACHABLE)
def test_health_needs_no_database(monkeypatch, how):
    with unreachable(monkeypatch, **how):
        assert Client().get("/healthz").status_code == 200
        assert Client().get("/readyz").json()["database"] == "unavailable"


def test_errors_of_other_kinds_are_no_outage():
    assert not is_outage(ValueError())
