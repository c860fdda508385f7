"""`python -m devstack.watch [var/run.json]`: print each webhook of a running stack.

Listens on a free loopback port, creates an endpoint for it, and deletes that at the end.
"""

import json
import signal
import sys
from pathlib import Path
from typing import Any, NoReturn

from devstack.demo_receiver import Hooks
from devstack.files import read_json
from devstack.http import request

_LOOK = 3600.0  # seconds; a wait without end could not be interrupted everywhere


def main() -> None:
    path = Path(sys.argv[1] if len(sys.argv) > 1 else "var/run.json")
    run = read_json(path)
    if not run:
        sys.exit(f"{path}: no such file; is the stack running?")
    signal.signal(signal.SIGTERM, _interrupt)
    with Hooks() as hooks:
        endpoint = _call(run, "POST", "/webhooks", {"endpoint": hooks.url, "events": ["*"]})
        hooks.secret = endpoint["signing_secret"]
        print(f"Endpoint {endpoint['id']} -> {hooks.url}; Ctrl-C deletes it.", flush=True)
        try:
            _print_all(hooks)
        except KeyboardInterrupt:
            print()
        finally:
            _call(run, "DELETE", f"/webhooks/{endpoint['id']}")


def _print_all(hooks: Hooks) -> NoReturn:
    while True:
        if heard := hooks.next(seconds=_LOOK):
            event, genuine = heard
            note = "" if genuine else "  SIGNATURE WRONG"
            print(f"{event['type']:24} {json.dumps(event['data'])}{note}", flush=True)


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
