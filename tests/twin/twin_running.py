"""What the tests hold in their hands: a running twin, a subscriber, messages to send."""

import json
import queue
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from http.server import ThreadingHTTPServer
from pathlib import Path

import requests

from core.processes import die_with_parent
from tests.clients import QuietHandler, serving

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class RunningTwin:
    """The stand-in for AWS as its own process, on a free port."""

    url: str
    process: subprocess.Popen
    var_dir: Path

    @classmethod
    def start(cls, var_dir, *arguments):
        process = subprocess.Popen(
            [sys.executable, "-m", "twin", "--port=0", f"--var-dir={var_dir}", *arguments],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=die_with_parent(signal.SIGKILL),
        )
        line = process.stdout.readline()
        assert line.startswith("twin listening on http://127.0.0.1:"), line
        return cls(url=line.split()[-1], process=process, var_dir=var_dir)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=10)
        self.process.stdout.close()
        return code

    def get(self, path, **query):
        return requests.get(f"{self.url}/_twin/{path}", params=query, timeout=10)

    def post(self, path, content=None, **query):
        return requests.post(f"{self.url}/_twin/{path}", json=content, params=query, timeout=10)

    def reset(self):
        """Make it as if it were new."""
        self.post("reset", all="true").raise_for_status()

    def fault(self, **faults):
        self.post("faults", faults).raise_for_status()

    def fail(self, **calls):
        """`fail(CreateEmailIdentity="ThrottlingException")` until the next `fail()`."""
        self.fault(fail_calls=calls)

    def heal(self):
        """Remove every fault."""
        requests.delete(f"{self.url}/_twin/faults", timeout=10).raise_for_status()

    def calls(self, **query):
        """The calls so far, in order; `calls(operation="PutObject")` of one operation."""
        return self.get("calls", **query).json()

    def operations(self):
        """The names of the operations called so far, in order."""
        return [call["operation"] for call in self.calls()]

    def mail(self, **query):
        return self.get("mail", **query).json()

    def is_quiet(self):
        health = self.get("health").json()
        return health["pending_events"] == health["pending_deliveries"] == 0


@dataclass
class Received:
    headers: dict
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def event(self):
        """The SES event inside a notification."""
        return json.loads(self.json["Message"])


class Subscriber:
    """An HTTP endpoint that keeps what it gets and answers what it is told (200 if nothing)."""

    def __init__(self, *, port=0):
        self.answers = []
        self.connections = []
        self.arn = None
        self._received = queue.Queue()
        handler = type("Handler", (_Handler,), {"subscriber": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", port), handler)
        self._server.block_on_close = False
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}/sns?key=a%2Fb"

    def __enter__(self):
        self._serving = serving(self._server)
        self._serving.__enter__()
        return self

    def __exit__(self, *exc):
        self._serving.__exit__(None, None, None)
        # A kept-alive connection would go on being served by its thread.
        for connection in self.connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def take(self, received):
        self._received.put(received)
        return self.answers.pop(0) if self.answers else 200

    def next(self, timeout=5):
        return self._received.get(timeout=timeout)

    def is_empty(self):
        return self._received.empty()

    def events(self, count, timeout=5):
        """The next `count` SES events."""
        return [self.next(timeout).event for _ in range(count)]


class _Handler(QuietHandler):
    protocol_version = "HTTP/1.1"
    timeout = 5
    subscriber: Subscriber

    def setup(self):
        super().setup()
        self.subscriber.connections.append(self.connection)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        headers[":path"] = self.path
        self.send_response(self.subscriber.take(Received(headers, body)))
        self.send_header("Content-Length", "0")
        self.end_headers()


def raw_message(*extra, sender="Ada <ada@example.com>", to="bob@example.net", subject="Hello"):
    lines = [f"From: {sender}", f"To: {to}", f"Subject: {subject}", *extra]
    return "\r\n".join([*lines, "", "Hi Bob", ""]).encode()


def send_raw(ses, *, to="bob@example.net", raw=None, **request):
    """Send to one recipient, or a list of them, and return the message id."""
    addresses = [to] if isinstance(to, str) else to
    request.setdefault("ConfigurationSetName", "mail")
    return ses.send_email(
        FromEmailAddress="Ada <ada@example.com>",
        Destination={"ToAddresses": addresses},
        Content={"Raw": {"Data": raw or raw_message()}},
        **request,
    )["MessageId"]
