"""Statements that PostgreSQL plans once a connection."""

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
def _connection_of_its_own():
    connection.close()
    yield
    connection.close()


def ask(statement, *values):
    with prepared.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchall()


def kept():
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement FROM pg_prepared_statements")
        return [statement for (statement,) in cursor]


def test_a_statement_is_planned_once_whatever_its_values():
    for name in ("a", "b", "a"):
        assert ask(NAMED, name) == []
    assert kept() == [NAMED.replace("%s", "$1")]


def test_what_django_says_is_not_kept():
    ask(NAMED, "a")
    Workspace.objects.create(name="a")
    for _ in range(10):
        Workspace.objects.get(name="a")
    assert len(kept()) == 1
    assert connection.connection.prepare_threshold is None


def test_nothing_is_kept_where_the_connection_is_another_each_time(settings):
    settings.DATABASE_PREPARED_STATEMENTS = False
    Workspace.objects.create(name="a")
    ((name, _),) = ask(NAMED, "a")
    assert (name, kept()) == ("a", [])


def test_look_ups_and_the_insert_of_one_mail_are_kept(workspace):
    look_up = Lookup(ApiKey, "row.name = %(name)s")
    for name in "ab":
        look_up(name=name)
        bulk.insert([Event(workspace=workspace, type="email.sent", body="{}")])
        bulk.insert([Event(workspace=workspace, type="email.sent", body="{}") for _ in "xy"])
    assert Event.objects.count() == 6
    assert sorted(statement.split()[0] for statement in kept()) == ["INSERT", "SELECT"]


def test_errors_are_those_of_django(workspace):
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
    yield lambda: ask("SELECT name FROM changing WHERE name = %s", "a")
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE changing")


def widen():
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE changing ALTER name TYPE varchar(20)")


def test_a_column_may_change_under_a_plan(changing):
    assert changing() == [("a",)]
    widen()
    assert changing() == [("a",)]
    assert changing() == [("a",)]


def test_such_a_change_costs_one_transaction_at_most(changing):
    assert changing() == [("a",)]
    widen()
    with pytest.raises(NotSupportedError), transaction.atomic():
        changing()
    with transaction.atomic():
        assert changing() == [("a",)]


def test_statements_are_told_in_the_log_of_queries():
    with CaptureQueriesContext(connection) as statements:
        ask(NAMED, "a")
    assert [each["sql"] for each in statements] == [NAMED]
