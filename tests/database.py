"""Second connections, locks, statements and the rows that tests look at."""

import threading
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from datetime import timedelta

import psycopg
from django.db import connection, connections, transaction
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext
from psycopg import sql

from contacts.models import Suppression
from emails.models import EmailEvent
from events.models import Event
from tests.clients import wait_until

# --- Rows -----------------------------------------------------------------------------

# Written by the migrations, and never by a test.
_KEPT = {"django_migrations", "django_content_type", "auth_permission"}
_MANY = 1_000
_DELETE = sql.SQL("""
    DO $$
    DECLARE
        name text;
        deleted bigint;
        bloated text[] := '{{}}';
    BEGIN
        FOREACH name IN ARRAY {tables}::text[] LOOP
            EXECUTE format('LOCK TABLE %I', name);
        END LOOP;
        FOREACH name IN ARRAY {tables}::text[] LOOP
            EXECUTE format('DELETE FROM %I', name);
            GET DIAGNOSTICS deleted = ROW_COUNT;
            IF deleted > {many} THEN
                bloated := bloated || quote_ident(name);
            END IF;
        END LOOP;
        SET CONSTRAINTS ALL IMMEDIATE;
        IF cardinality(bloated) > 0 THEN
            EXECUTE 'TRUNCATE ' || array_to_string(bloated, ', ') || ' CASCADE';
        END IF;
    END $$
""")


def delete_all_rows():
    """Empty the tables after a test that committed.

    Django truncates every table, which makes some two hundred files, and then writes content types
    and permissions again: half a second, for a few rows. The locks are those of TRUNCATE: they wait
    for what a thread of the test has not committed.
    """
    tables = sorted(set(connection.introspection.django_table_names(only_existing=True)) - _KEPT)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_DELETE.format(tables=sql.Literal(tables), many=sql.Literal(_MANY)))


# --- Connections ----------------------------------------------------------------------


@contextmanager
def another_connection(*, autocommit=False):
    """A psycopg connection to the test database, outside of Django."""
    parameters = connection.get_connection_params()
    names = ("dbname", "host", "port", "user", "password")
    chosen = {name: parameters[name] for name in names if parameters.get(name)}
    with psycopg.connect(**chosen, autocommit=autocommit) as other:
        yield other


@contextmanager
def concurrently(action, *, seconds=20):
    """Run the action in a thread with its own connection during the block.

    Yields its `Future`. The end of the block waits for the action and raises what it raised.
    """
    future, thread = _started(action)
    try:
        yield future
    finally:
        thread.join(seconds)
    assert not thread.is_alive(), "the other thread does not end"
    future.result()


def run_at_once(*actions, seconds=30):
    """Start the actions together, each with its own connection; returns their results."""
    barrier = threading.Barrier(len(actions))

    def after_all_have_started(action):
        barrier.wait(10)
        return action()

    started = [_started(lambda each=each: after_all_have_started(each)) for each in actions]
    return [future.result(seconds) for future, _ in started]


def _started(action):
    future = Future()

    def run():
        try:
            result = action()
        except BaseException as error:
            connections.close_all()
            future.set_exception(error)
        else:
            connections.close_all()
            future.set_result(result)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return future, thread


def wait_for_blocked_session():
    """Wait until some session waits for a lock."""

    def is_blocked():
        with connection.cursor() as cursor:
            cursor.execute("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")
            return cursor.fetchone()[0]

    wait_until(is_blocked, seconds=10, what="waiting for a lock", pause=0.01)


@contextmanager
def waiting_for_our_lock(action):
    """At the end of the block, start the action on its own connection; it must wait for a lock."""
    with ExitStack() as started, transaction.atomic():
        yield
        started.enter_context(concurrently(action))
        wait_for_blocked_session()


def disconnect(other):
    """Close the connection, and wait until the server has released its locks."""
    pid = other.info.backend_pid
    other.close()
    wait_until(lambda: not is_connected(pid), seconds=10, what="the end of the session")


def is_connected(pid):
    """Whether the server has a session with this backend pid."""
    with another_connection(autocommit=True) as observer:
        query = "SELECT FROM pg_stat_activity WHERE pid = %s"
        return observer.execute(query, [pid]).fetchone() is not None


@contextmanager
def lock_timeout(time="2s"):
    """Waiting longer for a lock fails on Django's connection."""
    with connection.cursor() as cursor:
        cursor.execute(f"SET lock_timeout = '{time}'")
    yield
    with connection.cursor() as cursor:
        cursor.execute("RESET lock_timeout")


@contextmanager
def missing_database():
    """The server is up but the database does not exist, so that connecting really fails."""
    original = connection.settings_dict["NAME"]
    connection.close()
    connection.settings_dict["NAME"] = "missing"
    try:
        yield
    finally:
        connection.settings_dict["NAME"] = original
        connection.close()


# --- Statements -----------------------------------------------------------------------


@contextmanager
def captured_statements(*, savepoints=True):
    """At the end of the block the list has the SQL of its statements."""
    statements = []
    with CaptureQueriesContext(connection) as captured:
        yield statements
    statements += [each["sql"] for each in captured if savepoints or "SAVEPOINT" not in each["sql"]]


def statement_count(action):
    """How many statements the action runs."""
    with captured_statements() as statements:
        action()
    return len(statements)


def explain(statement):
    """Run the statement and return its plan as text."""
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN (ANALYZE, FORMAT TEXT) " + statement)
        return "\n".join(line for (line,) in cursor.fetchall())


# --- Rows -----------------------------------------------------------------------------


def make_due(rows, *, ago=timedelta(minutes=1), **changes):
    """Make unfinished rows of a queue due, as if their leases and backoffs were over.

    `rows` is a model or a query. A time before now(), which does not advance within a
    transaction, and a test may be one.
    """
    manager = getattr(rows, "objects", rows)
    return manager.exclude(next_attempt_at=None).update(next_attempt_at=Now() - ago, **changes)


def published(*types):
    """(type, data) of the events published so far, oldest first; all types if none is named."""
    rows = Event.objects.order_by("pk")
    return [(row.type, row.data()) for row in rows if not types or row.type in types]


def published_data(event_type):
    """The data of the events of this type published so far, oldest first."""
    return [data for _, data in published(event_type)]


def recipient_statuses(email):
    """{address: status}"""
    return dict(email.recipients.values_list("address", "status"))


def recorded_facts(email):
    """[(type, recipient, status)] of the facts about an email, ordered by recipient."""
    rows = EmailEvent.objects.filter(email=email).order_by("recipient")
    return [(row.type, row.recipient, row.status) for row in rows]


def suppressions():
    """{address: origin}"""
    return dict(Suppression.objects.values_list("email", "origin"))


def record_unapplied(app):
    """Make Django believe that the last migration of this app is not applied."""
    ((_, name),) = MigrationLoader(connection).graph.leaf_nodes(app)
    MigrationRecorder(connection).record_unapplied(app, name)
