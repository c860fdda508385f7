"""Statements that PostgreSQL plans once per connection."""

import psycopg
import psycopg._queries
import pytest
from django.db import IntegrityError, NotSupportedError, connection, transaction
from django.test.utils import CaptureQueriesContext

from accounts.models import ApiKey, Workspace
from core.db import bulk, prepared
from core.db.hot_queries import Lookup
from core.db.ids import uuid7
from events.models import Event

pytestmark = pytest.mark.django_db(transaction=True)

NAMED = "SELECT name, xmin::text FROM workspaces WHERE name = %s"


@pytest.fixture(autouse=True)
def _new_connection():
    connection.close()
    yield
    connection.close()


def fetch(statement, *values):
    with prepared.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchall()


def prepared_statements():
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement FROM pg_prepared_statements")
        return [statement for (statement,) in cursor]


def test_a_statement_is_prepared_once_for_all_values():
    for name in ("a", "b", "a"):
        assert fetch(NAMED, name) == []
    assert prepared_statements() == [NAMED.replace("%s", "$1")]


def test_statements_of_django_are_not_prepared():
    fetch(NAMED, "a")
    Workspace.objects.create(name="a")
    for _ in range(10):
        Workspace.objects.get(name="a")
    assert len(prepared_statements()) == 1
    assert connection.connection.prepare_threshold is None


def test_prepared_statements_can_be_disabled_for_connection_poolers(settings):
    settings.DATABASE_PREPARED_STATEMENTS = False
    Workspace.objects.create(name="a")
    ((name, _),) = fetch(NAMED, "a")
    assert (name, prepared_statements()) == ("a", [])


def test_lookups_and_inserts_of_single_objects_are_prepared(workspace):
    lookup = Lookup(ApiKey, "row.name = %(name)s")
    for name in "ab":
        lookup(name=name)
        bulk.insert([Event(workspace=workspace, type="email.sent", body="{}")])
        bulk.insert([Event(workspace=workspace, type="email.sent", body="{}") for _ in "xy"])
    assert Event.objects.count() == 6
    assert sorted(statement.split()[0] for statement in prepared_statements()) == [
        "INSERT",
        "SELECT",
    ]


def test_errors_are_wrapped_by_django(workspace):
    event = Event(pk=uuid7(), workspace=workspace, type="email.sent", body="{}")
    bulk.insert([event])
    with pytest.raises(IntegrityError):
        bulk.insert([event])
    assert Event.objects.count() == 1


@pytest.fixture
def changing():
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE changing (name varchar(10))")
        cursor.execute("INSERT INTO changing VALUES ('a')")
    yield lambda: fetch("SELECT name FROM changing WHERE name = %s", "a")
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE changing")


def widen():
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE changing ALTER name TYPE varchar(20)")


def test_a_changed_column_type_invalidates_the_plan(changing):
    assert changing() == [("a",)]
    widen()
    assert changing() == [("a",)]
    assert changing() == [("a",)]


def test_a_changed_column_type_fails_at_most_one_transaction(changing):
    assert changing() == [("a",)]
    widen()
    with pytest.raises(NotSupportedError), transaction.atomic():
        changing()
    with transaction.atomic():
        assert changing() == [("a",)]


def test_statements_are_in_the_query_log():
    with CaptureQueriesContext(connection) as statements:
        fetch(NAMED, "a")
    assert [each["sql"] for each in statements] == [NAMED]


def test_psycopg_reads_no_statement_of_a_request_at_every_call(api, domain, monkeypatch):
    """It keeps what it read of statements with up to 50 placeholders and 4,096 characters."""
    content = {"from": "a@example.com", "to": "b@example.org", "subject": "s", "text": "t"}
    api.post("/emails", content | {"from": f"a@{domain.name}"})

    def read_again(statement, encoding):
        pytest.fail(f"psycopg read again: {statement[:200]}")

    for name in ("_query2pg_nocache", "_query2pg_client_nocache"):
        monkeypatch.setattr(psycopg._queries, name, read_again)
    assert api.post("/emails", content | {"from": f"a@{domain.name}"}).status_code == 200
