"""The whole product as a user starts it, and an endpoint that receives its webhooks."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass
from http.server import ThreadingHTTPServer
from pathlib import Path

import psutil
import psycopg
import requests
from standardwebhooks import Webhook, WebhookVerificationError

from core.processes import die_with_parent
from tests.clients import QuietHandler, serving, wait_until
from tests.event_schemas import check

ROOT = Path(__file__).resolve().parent.parent.parent


class Product:
    """`python -m devstack` with its own folder and ports; its output goes to `log`."""

    def __init__(self, folder, *, log=None, **variables):
        self.var_dir = folder / "var"
        self.log = log or folder / "log"
        # The suite's own settings must not leak in: only what an operator would set.
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        self._env = kept | {"VAR_DIR": str(self.var_dir), "PORT": "0", **variables}
        self._process = None

    def start(self):
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "devstack"],
                cwd=ROOT,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                preexec_fn=die_with_parent(signal.SIGTERM),
            )
        wait_until(lambda: self.has_exited or self.facts, seconds=120, what="run.json")
        assert not self.has_exited, self.log.read_text()
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer {self.facts['api_key']}"
        return self

    def stop(self, number=signal.SIGINT):
        """Send the signal, wait for the process to exit, and return its exit code."""
        if not self.has_exited:
            self._process.send_signal(number)
        self._session.close()
        return self._process.wait(timeout=60)

    @property
    def has_exited(self):
        return self._process is None or self._process.poll() is not None

    @property
    def facts(self):
        path = self.var_dir / "run.json"
        return json.loads(path.read_text()) if path.exists() else None

    @property
    def processes(self):
        """Every process with this folder in its environment or its command."""
        return [each for each in psutil.process_iter() if _mentions(each, str(self.var_dir))]

    @property
    def orphans(self):
        """Its processes that are not descendants of the main process any more."""
        main = psutil.Process(self._process.pid)
        known = {main, *main.children(recursive=True)}
        return [each for each in self.processes if each not in known and each.is_running()]

    def api(self, method, path, content=None, **headers):
        url = self.facts["base_url"] + path
        return self._session.request(method, url, json=content, headers=headers, timeout=10)

    def get(self, path):
        answer = self.api("GET", path)
        answer.raise_for_status()
        return answer.json()

    def twin(self, path, **query):
        return requests.get(
            f"{self.facts['twin_url']}/_twin/{path}", params=query, timeout=30
        ).json()

    def fault(self, **faults):
        """Set the faults of the stand-in for AWS."""
        url = f"{self.facts['twin_url']}/_twin/faults"
        requests.post(url, json=faults, timeout=10).raise_for_status()

    def rows(self, statement):
        with psycopg.connect(self.facts["database_url"]) as connection:
            return connection.execute(statement).fetchall()


def _mentions(process, name):
    with suppress(psutil.Error):
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        return process.environ().get("VAR_DIR") == name or name in " ".join(process.cmdline())
    return False


@dataclass
class ReceivedRequest:
    """One request to the endpoint."""

    headers: dict
    body: bytes

    @property
    def event(self):
        return json.loads(self.body)


class Endpoint:
    """Receives webhooks on a loopback port; verifies each signature before it responds.

    Its block ends with an AssertionError if an event did not match the catalogue.
    """

    def __init__(self, *, delay=0.0):
        self.delay = delay
        self.received = []
        self.rejected = []
        self.invalid = []
        self.types = defaultdict(set)
        self.secret = None
        self._verify = None
        handler = type("Handler", (_Handler,), {"endpoint": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hooks"

    def __enter__(self):
        self._serving = serving(self._server)
        self._serving.__enter__()
        return self

    def __exit__(self, *exc):
        self._serving.__exit__(None, None, None)
        assert any(exc) or not self.invalid, self.invalid

    def expect(self, secret):
        self.secret = secret
        self._verify = Webhook(secret).verify

    def receive(self, request):
        time.sleep(self.delay)
        try:
            self._verify(request.body, request.headers)
        except WebhookVerificationError as error:
            self.rejected.append((request, error))
            return 400
        self.received.append(request)
        event = request.event
        try:
            check(event)
        except AssertionError as error:
            self.invalid.append(str(error))
        email_id = event["data"].get("email_id")
        self.types[email_id].add(event["type"])
        return 204

    def events(self, email_id):
        """The requests about one email, in order of arrival."""
        return [each for each in self.received if each.event["data"].get("email_id") == email_id]


class _Server(ThreadingHTTPServer):
    request_queue_size = 256
    daemon_threads = True
    block_on_close = False


class _Handler(QuietHandler):
    protocol_version = "HTTP/1.1"

    def handle(self):
        with suppress(ConnectionError):  # the sender was killed
            super().handle()

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.send_response(self.endpoint.receive(ReceivedRequest(headers, body)))
        self.send_header("Content-Length", "0")
        self.end_headers()
