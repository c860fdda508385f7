"""Pieces of an installation that a test takes apart: databases, workers, a stand-in for SES."""

import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import psycopg
import requests
from celery import Celery
from psycopg import sql

from core.processes import die_with_parent
from tests.journey.product_running import ROOT, wait_until


class Databases:
    """Databases of a run on one server, each a copy of another; dropped at its end."""

    def __init__(self, url):
        self._url = url
        self._made = []

    def name(self, purpose):
        """One that `copy` is yet to make, so that its workers can start meanwhile."""
        name = f"{purpose}_{uuid4().hex[:8]}"
        return Database(name, _renamed(self._url, name))

    def copy(self, source, new):
        """Make it with all that the one named `source` holds, once nobody is using that."""
        with self._server() as server:
            wait_until(lambda: not _users(server, source), what=f"the end of work in {source}")
            statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
            server.execute(statement.format(sql.Identifier(new.name), sql.Identifier(source)))
        self._made.append(new)

    def drop(self):
        with self._server() as server:
            for database in self._made:
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
        """One statement in a transaction of its own; its rows, if it has any."""
        with self.connect() as connection:
            cursor = connection.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []

    @contextmanager
    def holding(self, table, mode):
        """Whoever needs a lock on the table that conflicts with this one waits in this block."""
        with self.connect() as connection:
            lock = sql.SQL("LOCK TABLE {} IN {} MODE").format(sql.Identifier(table), sql.SQL(mode))
            connection.execute(lock)
            yield

    def is_held_up(self):
        """Whether anybody waits for a lock."""
        return self.run(
            "SELECT pid FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )


class Worker:
    """One Celery worker as `opensend.worker` starts it for a queue, on a queue of its own."""

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

    def end(self, number):
        """Send it a signal and wait for its end; its exit code."""
        self._process.send_signal(number)
        return self._process.wait(timeout=30)

    def kill(self):
        self._process.kill()
        self._process.wait()


class Broker:
    """Puts messages into workers' queues."""

    def __init__(self, url):
        self._app = Celery(broker=url)

    def send(self, task, queue):
        self._app.send_task(task, queue=queue)

    @contextmanager
    def beating(self, tasks, queues, *, interval=0.2):
        """What beat does, faster: every task into every queue, again and again in this block."""
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


class Twin:
    """The stand-in for AWS as a process of its own; it accepts mail from `domain`."""

    def __init__(self, folder, *, domain):
        self._process = subprocess.Popen(
            [sys.executable, "-m", "twin", "--port", "0", f"--var-dir={folder}"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=die_with_parent(signal.SIGKILL),
        )
        self.url = self._process.stdout.readline().split()[-1]
        self._post("identities", name=domain)

    def fault(self, **faults):
        self._post("faults", **faults)

    def mail(self):
        """What it accepted, oldest first."""
        return requests.get(f"{self.url}/_twin/mail?raw=false", timeout=10).json()

    def stop(self):
        with self._process:
            self._process.terminate()

    def _post(self, path, **content):
        requests.post(f"{self.url}/_twin/{path}", json=content, timeout=10).raise_for_status()


def send_event(mail):
    """What SNS posts of a mail that the twin took: SES's Send event."""
    told = {
        "eventType": "Send",
        "mail": {
            "timestamp": mail["at"],
            "messageId": mail["id"],
            "destination": mail["envelope"]["to"],
            "tags": {name: [value] for name, value in mail["tags"].items()},
        },
        "send": {},
    }
    return json.dumps({"Type": "Notification", "Message": json.dumps(told)})
