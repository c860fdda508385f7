"""`python -m devstack.demo`: a demo of sending and webhooks against a running stack.

Creates a webhook endpoint on a loopback port, sends several kinds of email, prints each signed
webhook as it arrives and the final status of each email, and deletes the endpoint.
"""

import os
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import requests

from devstack.demo_receiver import WebhookReceiver
from devstack.errors import StackError
from devstack.files import read_json

_SENDER = "OpenSend Demo <demo@demo.opensend.test>"
_TIMEOUT = 30.0  # seconds until all webhooks must have arrived


def main() -> int:
    try:
        with requests.Session() as session:
            _run(_Api(session, Path(os.environ.get("VAR_DIR") or "var") / "run.json"))
    except (StackError, requests.RequestException) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


class _Api:
    """API client for the stack that a `run.json` describes."""

    def __init__(self, session: requests.Session, path: Path) -> None:
        run = read_json(path)
        if not run:
            raise StackError(
                f"nothing is running here: {path} does not exist. Start it with: make run"
            )
        self._url = run["base_url"]
        self._session = session
        session.headers["Authorization"] = f"Bearer {run['api_key']}"

    def request(
        self, method: str, path: str, body: object = None, *, key: str = ""
    ) -> requests.Response:
        headers = {"Idempotency-Key": key} if key else None
        return self._session.request(
            method, self._url + path, json=body, headers=headers, timeout=10
        )

    def call(self, method: str, path: str, body: object = None, *, key: str = "") -> Any:
        """The JSON of a successful response; raises StackError for any other."""
        response = self.request(method, path, body, key=key)
        if not response.ok:
            raise StackError(f"{method} {path} failed: {response.status_code} {response.text}")
        return response.json()


def _run(api: _Api) -> None:
    with WebhookReceiver() as receiver:
        endpoint = api.call("POST", "/webhooks", {"endpoint": receiver.url, "events": ["email.*"]})
        print(f"Webhook endpoint {endpoint['id']} at {receiver.url}")
        receiver.secret = endpoint["signing_secret"]
        try:
            run = uuid.uuid4().hex[:8]  # new addresses each time: bounced ones are suppressed
            sent = _send(api, run)
            _print_webhooks(receiver, sent)
            _print_statuses(api, sent)
            _send_to_suppressed(api, f"anyone-{run}@bounce.twin.test")
        finally:
            api.call("DELETE", f"/webhooks/{endpoint['id']}")
            print(f"\nDeleted webhook endpoint {endpoint['id']}.")


def _send(api: _Api, run: str) -> dict[str, dict[str, Any]]:
    """Send all demo emails; returns the request bodies by email id."""
    print("\nSending")
    hello = _mail("Hello", f"Ada Lovelace <ada-{run}@example.com>")
    several = _mail(
        "To several", f"Grace Hopper <grace-{run}@example.com>", f"al-{run}@example.com"
    )
    several |= {"cc": [f"Copy <copy-{run}@example.net>"], "html": "<p>Hi <b>all</b></p>"}
    tagged = _mail("Tagged", f"tagged-{run}@example.com")
    tagged |= {"tags": [{"name": "campaign", "value": "demo"}]}
    once = _mail("Idempotent", f"once-{run}@example.com")
    bounce = _mail("Bounces", f"anyone-{run}@bounce.twin.test")
    batch = [_mail(f"Batch {n}", f"batch{n}-{run}@example.com") for n in (1, 2, 3)]
    sent = {}
    for mail in (hello, several, tagged, bounce):
        sent[_print_sent(api.call("POST", "/emails", mail), mail)] = mail
    for attempt in ("first request", "repeated request"):
        accepted = api.call("POST", "/emails", once, key=f"demo-{run}")
        sent[_print_sent(accepted, once, f" (idempotency key demo-{run}, {attempt})")] = once
    responses = api.call("POST", "/emails/batch", batch)["data"]
    for accepted, mail in zip(responses, batch, strict=True):
        sent[_print_sent(accepted, mail)] = mail
    return sent


def _mail(subject: str, *recipients: str) -> dict[str, Any]:
    return {"from": _SENDER, "to": list(recipients), "subject": subject, "text": f"{subject}!"}


def _print_sent(accepted: dict[str, str], mail: dict[str, Any], note: str = "") -> str:
    print(f"  {accepted['id']}  {mail['subject']:10}  to {', '.join(mail['to'])}{note}")
    return accepted["id"]


def _print_webhooks(receiver: WebhookReceiver, sent: dict[str, dict[str, Any]]) -> None:
    """Print webhooks until each email has one for sending, and one per recipient for the result.

    Raises StackError on timeout.
    """
    print("\nWebhooks, as they arrive")
    deadline = time.monotonic() + _TIMEOUT
    missing = {key: 1 + len(mail["to"] + mail.get("cc", [])) for key, mail in sent.items()}
    seen = set()  # webhooks are delivered at least once, so there may be duplicates
    while any(count > 0 for count in missing.values()):
        received = receiver.next(seconds=deadline - time.monotonic())
        if received is None:
            names = ", ".join(sent[key]["subject"] for key, count in missing.items() if count > 0)
            raise StackError(f"webhooks are missing after {_TIMEOUT:.0f} s, for: {names}")
        event = received.event
        data = event.get("data", {})
        if received.problem:
            print(f"  {event.get('type', '?'):16} {received.verdict}")
            raise StackError(f"a webhook has a {received.verdict}")
        if event["id"] in seen or data["email_id"] not in sent:  # an email of another sender
            continue
        seen.add(event["id"])
        to = data.get("recipient", "")
        print(f"  {event['type']:16} {data['subject']:10}  {to:42} {received.verdict}")
        missing[data["email_id"]] -= 1


def _print_statuses(api: _Api, sent: dict[str, dict[str, Any]]) -> None:
    print("\nFinal statuses")
    for email_id, mail in sent.items():
        email = api.call("GET", f"/emails/{email_id}")
        recipients = [f"{each['address']} {each['status']}" for each in email["recipients"]]
        print(f"  {mail['subject']:10}  {email['status']:10}  {', '.join(recipients)}")


def _send_to_suppressed(api: _Api, address: str) -> None:
    print(f"\nSending again to {address}, which bounced and is now suppressed")
    response = api.request("POST", "/emails", _mail("Again", address))
    if response.status_code != 422:
        raise StackError(f"expected 422, got {response.status_code}")
    error = response.json()
    print(f"  {response.status_code} {error['name']}: {error['message']}")


if __name__ == "__main__":
    sys.exit(main())
