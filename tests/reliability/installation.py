"""Parts of an installation that tests control: databases, workers, a stand-in for AWS."""

import os
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import psycopg
from celery import Celery
from psycopg import sql

from core.processes import die_with_parent
from tests.clients import wait_until
from tests.journey.product import ROOT


class Databases:
    """The databases of a test run, each a copy of another; dropped at the end."""

    def __init__(self, url):
        self._url = url
        self._created = []

    def name(self, purpose):
        """Name a database that `copy` creates later, so that its workers can already start."""
        name = f"{purpose}_{uuid4().hex[:8]}"
        return Database(name, _renamed(self._url, name))

    def copy(self, source, new):
        """Create it as a copy of the database `source`, once that has no connections."""
        with self._server() as server:
            wait_until(
                lambda: not _users(server, source), what=f"the end of connections to {source}"
            )
            statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
            server.execute(statement.format(sql.Identifier(new.name), sql.Identifier(source)))
        self._created.append(new)

    def drop(self):
        with self._server() as server:
            for database in self._created:
                statement = sql.SQL("DROP DATABASE {} WITH (FORCE)")
                server.execute(statement.format(sql.Identifier(database.name)))

    def _server(self):
        return psycopg.connect(_renamed(self._url, "postgres"), autocommit=True)


def _renamed(url, name):
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


def _users(server, database):
    query = "SELECT pid FROM pg_stat_activity WHERE datname = %s"
    return server.execute(query, [database]).fetchall()


class Database:
    def __init__(self, name, url):
        self.name = name
        self.url = url

    def connect(self):
        return psycopg.connect(self.url)

    def run(self, statement, *values):
        """Run one statement in its own transaction and return its rows, if any."""
        with self.connect() as connection:
            cursor = connection.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []

    @contextmanager
    def locking(self, table, mode):
        """Lock the table in this block; conflicting statements wait."""
        with self.connect() as connection:
            lock = sql.SQL("LOCK TABLE {} IN {} MODE").format(sql.Identifier(table), sql.SQL(mode))
            connection.execute(lock)
            yield

    def is_blocked(self):
        """Whether any session waits for a lock."""
        return self.run(
            "SELECT pid FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )


class Worker:
    """A Celery worker as `opensend.worker` starts it, on its own queue."""

    def __init__(self, queue, **environment):
        self.queue = queue
        argv = [sys.executable, "-m", "celery", "--quiet", "-A", "opensend", "worker"]
        argv += ["-Q", queue, "-n", f"{queue}@%h", "--pool", "solo"]
        argv += ["--without-gossip", "--without-mingle"]
        self._process = subprocess.Popen(
            argv,
            cwd=ROOT,
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            preexec_fn=die_with_parent(signal.SIGKILL),
        )

    def stop(self, number):
        """Send a signal, wait for the process to end, and return its exit code."""
        self._process.send_signal(number)
        return self._process.wait(timeout=30)

    def kill(self):
        self._process.kill()
        self._process.wait()


class Broker:
    """Publishes messages to the workers' queues."""

    def __init__(self, url):
        self._app = Celery(broker=url)

    def send(self, task, queue):
        self._app.send_task(task, queue=queue)

    @contextmanager
    def beating(self, tasks, queues, *, interval=0.2):
        """Like beat, but faster: publish every task to every queue repeatedly in this block."""
        over = threading.Event()

        def beat():
            while not over.wait(interval):
                for queue in queues:
                    for task in tasks:
                        self._app.send_task(task, queue=queue, expires=1)

        clock = threading.Thread(target=beat)
        clock.start()
        try:
            yield
        finally:
            over.set()
            clock.join()

    def close(self):
        self._app.close()
