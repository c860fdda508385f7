"""What the tests hold in their hands: a running twin, a subscriber, messages to send."""

import json
import queue
import signal
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from subprocess import Popen

import requests


@dataclass
class RunningTwin:
    url: str
    process: Popen
    var_dir: Path

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

    def fault(self, **faults):
        self.post("faults", faults).raise_for_status()

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
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def __exit__(self, *exc):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
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


class _Handler(BaseHTTPRequestHandler):
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

    def log_message(self, *args):
        """Keep quiet."""


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


def wait_until(condition, timeout=5):
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)
