"""A webhook endpoint on a free loopback port that believes only what is signed."""

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


class Hooks:
    """Listens from `with` on; `secret` is what POST /webhooks answered as `signing_secret`."""

    def __init__(self) -> None:
        self.secret = ""
        self._heard: queue.SimpleQueue[tuple[dict[str, Any], bool]] = queue.SimpleQueue()
        handler = type("Handler", (_Handler,), {"hooks": self})
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
        """The next request's event and whether its signatures are right; None when none comes."""
        try:
            return self._heard.get(timeout=max(0.0, seconds))
        except queue.Empty:
            return None

    def take(self, headers: dict[str, str], body: bytes) -> int:
        """The status to answer with."""
        genuine = is_genuine(headers, body, secret=self.secret, now=time.time())
        self._heard.put((json.loads(body), genuine))
        return 204 if genuine else 400


def is_genuine(headers: dict[str, str], body: bytes, *, secret: str, now: float) -> bool:
    """Whether both signatures are right and not old; names of headers in lower case.

    Standard Webhooks 1.0 signs `id.timestamp.body` with the decoded secret; `X-Signature` signs
    `timestamp.body` with the secret as it is written.
    """
    identifier = headers.get("webhook-id", "")
    moment = headers.get("webhook-timestamp", "")
    if not moment.isdecimal() or abs(now - int(moment)) > _TOLERANCE:
        return False
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{identifier}.{moment}.".encode() + body
    standard = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    plain = hmac.digest(secret.encode(), moment.encode() + b"." + body, hashlib.sha256).hex()
    given = headers.get("webhook-signature", "").split()
    return any(
        hmac.compare_digest(each, f"v1,{standard}") for each in given
    ) and hmac.compare_digest(headers.get("x-signature", ""), plain)


class _Handler(BaseHTTPRequestHandler):
    hooks: ClassVar[Hooks]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.send_response(self.hooks.take(headers, body))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """The event itself is all there is to print."""
