"""`python -m opensend.run.watch [var/run.json]`: print each webhook of a running stack.

Listens on a free loopback port, creates an endpoint for it, and deletes that at the end.
"""

import json
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NoReturn

from opensend.run.files import read_json
from opensend.run.http import request


def main() -> None:
    path = Path(sys.argv[1] if len(sys.argv) > 1 else "var/run.json")
    run = read_json(path)
    if not run:
        sys.exit(f"{path}: no such file; is the stack running?")
    signal.signal(signal.SIGTERM, _interrupt)
    with ThreadingHTTPServer(("127.0.0.1", 0), _Listener) as server:
        url = f"http://127.0.0.1:{server.server_address[1]}/"
        endpoint = _call(run, "POST", "/webhooks", {"endpoint": url, "events": ["*"]})
        print(f"Endpoint {endpoint['id']} -> {url}; Ctrl-C deletes it.", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()
        finally:
            _call(run, "DELETE", f"/webhooks/{endpoint['id']}")


class _Listener(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        print(_readable(body), flush=True)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """The event itself is all there is to print."""


def _readable(body: bytes) -> str:
    try:
        event = json.loads(body)
        return f"{event['type']:24} {json.dumps(event['data'])}"
    except (ValueError, KeyError, TypeError):
        return body.decode(errors="replace")


def _call(run: dict[str, Any], method: str, path: str, body: Any = None) -> dict[str, Any]:
    status, answer = request(
        method, f"{run['base_url']}{path}", body=body, key=run["api_key"], seconds=10
    )
    if status >= 300:
        sys.exit(f"{method} {path}: {status} {answer.decode(errors='replace')}")
    return dict(json.loads(answer)) if answer else {}


def _interrupt(*_: Any) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
