"""A webhook endpoint on a free loopback port that verifies signatures."""

import base64
import hashlib
import hmac
import json
import queue
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, NamedTuple, Self

_TOLERANCE = 300  # seconds; Standard Webhooks 1.0, "Verifying webhook authenticity"


class ReceivedWebhook(NamedTuple):
    """One request: its id, the event in its body, and what is wrong with its signatures, if any."""

    webhook_id: str
    event: dict[str, Any]
    problem: str | None

    @property
    def verdict(self) -> str:
        return f"signature WRONG: {self.problem}" if self.problem else "signature verified"


class WebhookReceiver:
    """Listens while used as a context manager. `secret` is the `signing_secret` of the endpoint."""

    def __init__(self) -> None:
        self.secret = ""
        self._received: queue.SimpleQueue[ReceivedWebhook] = queue.SimpleQueue()
        handler = type("Handler", (_Handler,), {"receiver": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def next(self, *, seconds: float) -> ReceivedWebhook | None:
        """The next request; None on timeout."""
        try:
            return self._received.get(timeout=max(0.0, seconds))
        except queue.Empty:
            return None

    def receive(self, headers: dict[str, str], body: bytes) -> int:
        """Queue the request; returns the status of the response."""
        problem = signature_problem(headers, body, secret=self.secret, now=time.time())
        try:
            event = json.loads(body)
        except ValueError:
            event = None
        if not isinstance(event, dict):
            event, problem = {}, problem or "the body is not a JSON object"
        self._received.put(ReceivedWebhook(headers.get("webhook-id", ""), event, problem))
        return 400 if problem else 204


def signature_problem(
    headers: dict[str, str], body: bytes, *, secret: str, now: float
) -> str | None:
    """What is wrong with a request's signatures; None if both are valid and recent.

    Header names must be in lower case. Standard Webhooks 1.0 signs `id.timestamp.body` with the
    base64-decoded secret; `X-Signature` signs `timestamp.body` with the secret string itself.
    """
    names = ("webhook-id", "webhook-timestamp", "webhook-signature", "x-signature")
    if missing := [name for name in names if not headers.get(name)]:
        return f"no header {', '.join(missing)}"
    identifier, timestamp, signatures, plain = (headers[name] for name in names)
    if not (timestamp.isascii() and timestamp.isdecimal()):
        return f"webhook-timestamp is no number: {timestamp}"
    if abs(age := int(now) - int(timestamp)) > _TOLERANCE:
        return f"webhook-timestamp is {abs(age)} s {'old' if age > 0 else 'in the future'}"
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{identifier}.{timestamp}.".encode() + body
    standard = "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    if not any(_is_same(each, standard) for each in signatures.split()):
        return "webhook-signature does not match the body and the secret"
    expected = hmac.digest(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hex()
    return None if _is_same(plain, expected) else "X-Signature does not match the body"


def _is_same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(), expected.encode())


class _Handler(BaseHTTPRequestHandler):
    receiver: ClassVar[WebhookReceiver]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.send_response(self.receiver.receive(headers, body))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """No access log: the demo prints the events."""
