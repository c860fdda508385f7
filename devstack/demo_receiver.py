"""A webhook endpoint on a free loopback port that verifies signatures."""

import base64
import hashlib
import hmac
import json
import queue
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, Self

_TOLERANCE = 300  # seconds; Standard Webhooks 1.0, "Verifying webhook authenticity"


class WebhookReceiver:
    """Listens while used as a context manager. `secret` is the `signing_secret` of the endpoint."""

    def __init__(self) -> None:
        self.secret = ""
        self._received: queue.SimpleQueue[tuple[dict[str, Any], bool]] = queue.SimpleQueue()
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

    def next(self, *, seconds: float) -> tuple[dict[str, Any], bool] | None:
        """The next event and whether its signatures are valid; None on timeout."""
        try:
            return self._received.get(timeout=max(0.0, seconds))
        except queue.Empty:
            return None

    def receive(self, headers: dict[str, str], body: bytes) -> int:
        """Queue the event; returns the status of the response."""
        is_valid = has_valid_signatures(headers, body, secret=self.secret, now=time.time())
        self._received.put((json.loads(body), is_valid))
        return 204 if is_valid else 400


def has_valid_signatures(headers: dict[str, str], body: bytes, *, secret: str, now: float) -> bool:
    """Whether both signatures are valid and recent; header names must be in lower case.

    Standard Webhooks 1.0 signs `id.timestamp.body` with the base64-decoded secret; `X-Signature`
    signs `timestamp.body` with the secret string itself.
    """
    identifier = headers.get("webhook-id", "")
    timestamp = headers.get("webhook-timestamp", "")
    if not timestamp.isdecimal() or abs(now - int(timestamp)) > _TOLERANCE:
        return False
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{identifier}.{timestamp}.".encode() + body
    standard = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    plain = hmac.digest(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hex()
    signatures = headers.get("webhook-signature", "").split()
    return any(
        hmac.compare_digest(each, f"v1,{standard}") for each in signatures
    ) and hmac.compare_digest(headers.get("x-signature", ""), plain)


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
