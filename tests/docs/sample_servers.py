"""The sample servers of docs/webhooks.md, each in its own process."""

import os
import re
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests

from devstack.embedded import free_port
from tests.node_scripts import NODE

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = (ROOT / "docs" / "webhooks.md").read_text()

_NODE = str(NODE)
_NODE_TESTS = ROOT / "tests" / "node"
_PYTHON = sys.executable
# Settings that the page assumes.
_DJANGO_SETTINGS = """
import os
SECRET_KEY = "for-tests-only"
ALLOWED_HOSTS = ["127.0.0.1"]
INSTALLED_APPS = ["hooks"]
MIDDLEWARE = ["django.middleware.csrf.CsrfViewMiddleware"]
ROOT_URLCONF = "hooks.urls"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "inbox.sqlite3"}}
OPENSEND_WEBHOOK_SECRET = os.environ["OPENSEND_WEBHOOK_SECRET"]
"""
_SERVE_DJANGO = """
import sys, django
from django.core.management import call_command
django.setup()
call_command("migrate", run_syncdb=True, verbosity=0)
call_command("runserver", "127.0.0.1:" + sys.argv[1], "--noreload", "--skip-checks")
"""


@dataclass(frozen=True)
class Sample:
    """Its files, its command (PORT stands for the port number), and its table."""

    files: list[str]
    command: list[str]
    table: str = "inbox"


SAMPLES = {
    "flask": Sample(
        ["flask_app.py"],
        [_PYTHON, "-m", "flask", "--app", "flask_app", "run", "--port", "PORT"],
    ),
    "fastapi": Sample(
        ["fastapi_app.py"],
        [_PYTHON, "-m", "uvicorn", "fastapi_app:app", "--port", "PORT"],
    ),
    "django": Sample(
        ["hooks/models.py", "hooks/views.py", "hooks/urls.py"],
        [_PYTHON, "-c", _SERVE_DJANGO, "PORT"],
        "hooks_receivedevent",
    ),
    "node": Sample(["server.mjs"], [_NODE, "server.mjs"]),
    "next": Sample(
        ["app/hooks/route.js"],
        [_NODE, str(_NODE_TESTS / "serve_route.mjs"), "app/hooks/route.js", "PORT"],
    ),
}


@dataclass(frozen=True)
class Server:
    folder: Path
    port: int
    table: str

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hooks"

    def stored(self) -> list[str]:
        """The ids of the events that it stored."""
        with closing(sqlite3.connect(self.folder / "inbox.sqlite3")) as db:
            if not db.execute(
                "SELECT 1 FROM sqlite_master WHERE name = ?", [self.table]
            ).fetchone():
                return []  # created with the first event
            return [row[0] for row in db.execute(f"SELECT id FROM {self.table}")]

    def post(self, headers: dict[str, str], body: bytes) -> int:
        """Post a webhook and return the response status."""
        return requests.post(self.url, data=body, headers=headers, timeout=5).status_code


def block(name: str) -> str:
    """The fenced code block whose first line names this file."""
    fenced = rf"^```\w+\n((?:#|//) {re.escape(name)}\b.*?)^```$"
    (code,) = re.findall(fenced, PAGE, re.MULTILINE | re.DOTALL)
    return code


@contextmanager
def running(folder: Path, secret: str) -> Iterator[dict[str, Server]]:
    """Start all samples concurrently."""
    with ExitStack() as stack:
        started = {}
        for name, sample in SAMPLES.items():
            server = Server(folder / name, free_port(), sample.table)
            _write_files(server.folder, sample)
            log = stack.enter_context((server.folder / "log").open("wb"))
            started[name] = server, stack.enter_context(_process(server, sample, secret, log))
            stack.callback(started[name][1].kill)
        for server, process in started.values():
            _wait_for(server, process)
        yield {name: server for name, (server, _) in started.items()}


def _write_files(folder, sample):
    for name in sample.files:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block(name))
    (folder / "site_settings.py").write_text(_DJANGO_SETTINGS)
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "node_modules").symlink_to(_NODE_TESTS / "node_modules")


def _process(server, sample, secret, log):
    env = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(server.folder),
        "DJANGO_SETTINGS_MODULE": "site_settings",
        "OPENSEND_WEBHOOK_SECRET": secret,
        "PORT": str(server.port),
    }
    command = [str(server.port) if word == "PORT" else word for word in sample.command]
    return subprocess.Popen(command, cwd=server.folder, env=env, stdout=log, stderr=log)


def _wait_for(server, process):
    end = time.monotonic() + 30
    while time.monotonic() < end and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", server.port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError((server.folder / "log").read_text())
