"""`python -m devstack.watch [var/run.json]`: print each webhook of a running stack.

Listens on a free loopback port, creates an endpoint for it, and deletes the endpoint on exit.
"""

import json
import signal
import sys
from pathlib import Path
from typing import Any, NoReturn

from devstack.demo_receiver import WebhookReceiver
from devstack.files import read_json
from devstack.http import request

_WAIT_SECONDS = 3600.0  # a wait without timeout is not interruptible on every platform


def main() -> None:
    path = Path(sys.argv[1] if len(sys.argv) > 1 else "var/run.json")
    run = read_json(path)
    if not run:
        sys.exit(f"{path}: no such file; is the stack running?")
    signal.signal(signal.SIGTERM, _interrupt)
    with WebhookReceiver() as receiver:
        endpoint = _call(run, "POST", "/webhooks", {"endpoint": receiver.url, "events": ["*"]})
        receiver.secret = endpoint["signing_secret"]
        print(f"Endpoint {endpoint['id']} -> {receiver.url}; Ctrl-C deletes it.", flush=True)
        try:
            _print_all(receiver)
        except KeyboardInterrupt:
            print()
        finally:
            _call(run, "DELETE", f"/webhooks/{endpoint['id']}")


def _print_all(receiver: WebhookReceiver) -> NoReturn:
    while True:
        if received := receiver.next(seconds=_WAIT_SECONDS):
            event, is_valid = received
            note = "" if is_valid else "  INVALID SIGNATURE"
            print(f"{event['type']:24} {json.dumps(event['data'])}{note}", flush=True)


def _call(run: dict[str, Any], method: str, path: str, body: Any = None) -> dict[str, Any]:
    status, content = request(
        method, f"{run['base_url']}{path}", body=body, key=run["api_key"], seconds=10
    )
    if status >= 300:
        sys.exit(f"{method} {path}: {status} {content.decode(errors='replace')}")
    return dict(json.loads(content)) if content else {}


def _interrupt(*_: Any) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
