"""`make watch`: print each webhook of a running stack, and whether its signature is right.

Listens on a free loopback port, creates an endpoint for it, and deletes the endpoint on exit.
`python -m devstack.watch [run.json]`; by default the `run.json` in VAR_DIR.
"""

import http.client
import json
import os
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import Any, NoReturn

from devstack.demo_receiver import ReceivedWebhook, WebhookReceiver
from devstack.errors import StackError
from devstack.files import read_json
from devstack.http import request

_WAIT_SECONDS = 3600.0  # a wait without timeout is not interruptible on every platform


def main() -> int:
    signal.signal(signal.SIGTERM, _interrupt)
    var_dir = Path(os.environ.get("VAR_DIR") or "var")
    try:
        return _watch(Path(sys.argv[1]) if len(sys.argv) > 1 else var_dir / "run.json")
    except (StackError, OSError, http.client.HTTPException) as error:
        print(f"watch: {error}", file=sys.stderr)
        return 1


def _watch(path: Path) -> int:
    """Print webhooks until interrupted; returns 1 if a signature was wrong."""
    run = read_json(path)
    if not run:
        raise StackError(f"nothing is running here: {path} does not exist. Start it with: make run")
    verdicts: Counter[bool] = Counter()
    with WebhookReceiver() as receiver:
        endpoint = _call(run, "POST", "/webhooks", {"endpoint": receiver.url, "events": ["*"]})
        receiver.secret = endpoint["signing_secret"]
        print(f"Endpoint {endpoint['id']} at {receiver.url}; Ctrl-C deletes it.", flush=True)
        try:
            while True:
                if received := receiver.next(seconds=_WAIT_SECONDS):
                    verdicts[received.problem is None] += 1
                    print(line(received), flush=True)
        except KeyboardInterrupt:
            print()
        finally:
            print(summary(verdicts), flush=True)
            _call(run, "DELETE", f"/webhooks/{endpoint['id']}")
    return 1 if verdicts[False] else 0


def line(received: ReceivedWebhook) -> str:
    """The type, the id, the verdict and the data of a webhook."""
    event = received.event
    name = str(event.get("type") or event.get("event", "?"))  # mailbox events have `event`
    data = json.dumps(event.get("data", event))
    return f"{name:24} {received.webhook_id or '?'}  {received.verdict}  {data}"


def summary(verdicts: Counter[bool]) -> str:
    wrong = f", {verdicts[False]} WRONG" if verdicts[False] else ""
    return f"{verdicts.total()} webhooks: {verdicts[True]} verified{wrong}"


def _call(run: dict[str, Any], method: str, path: str, body: Any = None) -> dict[str, Any]:
    status, content = request(
        method, f"{run['base_url']}{path}", body=body, key=run["api_key"], seconds=10
    )
    if status >= 300:
        raise StackError(f"{method} {path}: {status} {content.decode(errors='replace')}")
    return dict(json.loads(content)) if content else {}


def _interrupt(*_: Any) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
