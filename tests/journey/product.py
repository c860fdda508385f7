"""The whole product as a user starts it, and an endpoint that hears its webhooks."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
import psycopg
import requests
from standardwebhooks import Webhook, WebhookVerificationError

from core.processes import die_with_parent
from tests.event_schemas import check

ROOT = Path(__file__).resolve().parent.parent.parent


class Product:
    """`python -m devstack` with a folder and ports of its own; its lines go to `log`."""

    def __init__(self, folder, *, log=None, **variables):
        self.var_dir = folder / "var"
        self.log = log or folder / "log"
        # Nothing of the suite's own settings: here they are what an operator would have set.
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
        wait_until(lambda: self.is_over or self.facts, seconds=60, what="run.json")
        assert not self.is_over, self.log.read_text()
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer {self.facts['api_key']}"
        return self

    def stop(self, number=signal.SIGINT):
        """Ask it to end, wait until it has, and return its exit code."""
        if not self.is_over:
            self._process.send_signal(number)
        self._session.close()
        return self._process.wait(timeout=60)

    @property
    def is_over(self):
        return self._process is None or self._process.poll() is not None

    @property
    def facts(self):
        path = self.var_dir / "run.json"
        return json.loads(path.read_text()) if path.exists() else None

    @property
    def processes(self):
        """Every process that bears this folder's name in its environment or its command."""
        return [each for each in psutil.process_iter() if _bears(each, str(self.var_dir))]

    @property
    def orphans(self):
        """Those of its processes that it knows nothing of any more."""
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
        """What goes wrong at the stand-in for AWS from now on."""
        url = f"{self.facts['twin_url']}/_twin/faults"
        requests.post(url, json=faults, timeout=10).raise_for_status()

    def rows(self, statement):
        with psycopg.connect(self.facts["database_url"]) as connection:
            return connection.execute(statement).fetchall()


def _bears(process, name):
    with suppress(psutil.Error):
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        return process.environ().get("VAR_DIR") == name or name in " ".join(process.cmdline())
    return False


@dataclass
class Heard:
    """One request to the endpoint, accepted because its signature was right."""

    headers: dict
    body: bytes

    @property
    def event(self):
        return json.loads(self.body)


class Endpoint:
    """Takes webhooks on a loopback port; checks each signature before it answers.

    Its block ends in an AssertionError when an event was not as the catalogue says.
    """

    def __init__(self, *, slowness=0.0):
        self.slowness = slowness
        self.heard = []
        self.refused = []
        self.broken = []
        self.types = defaultdict(set)
        self.secret = None
        self._verify = None
        handler = type("Handler", (_Handler,), {"endpoint": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hooks"

    def __enter__(self):
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        return self

    def __exit__(self, *exc):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        assert any(exc) or not self.broken, self.broken

    def expect(self, secret):
        self.secret = secret
        self._verify = Webhook(secret).verify

    def take(self, request):
        time.sleep(self.slowness)
        try:
            self._verify(request.body, request.headers)
        except WebhookVerificationError as error:
            self.refused.append((request, error))
            return 400
        self.heard.append(request)
        event = request.event
        try:
            check(event)
        except AssertionError as error:
            self.broken.append(str(error))
        email_id = event["data"].get("email_id")
        self.types[email_id].add(event["type"])
        return 204

    def events(self, email_id):
        """The requests about one email, in the order in which they came."""
        return [each for each in self.heard if each.event["data"].get("email_id") == email_id]


class _Server(ThreadingHTTPServer):
    request_queue_size = 256
    daemon_threads = True
    block_on_close = False


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle(self):
        with suppress(ConnectionError):  # the sender was killed
            super().handle()

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.send_response(self.endpoint.take(Heard(headers, body)))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args):
        """Keep quiet."""


def wait_until(condition, *, seconds=20, what="it"):
    """Return what the condition gave once that is true; AssertionError after `seconds`."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, f"{what} did not happen within {seconds} s"
        time.sleep(0.05)
    return found
