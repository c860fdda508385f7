"""`python -m devstack.demo`: the product at work, line by line, against a running stack.

Makes a webhook endpoint on a loopback port, sends mail of every kind, shows each signed webhook
as it arrives and how each mail ended, and deletes the endpoint.
"""

import os
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import requests

from devstack.demo_receiver import Hooks
from devstack.errors import StackError
from devstack.files import read_json

_SENDER = "OpenSend Demo <demo@demo.opensend.test>"
_SECONDS = 30.0  # in which everything must have followed from the mails


def main() -> int:
    try:
        with requests.Session() as session:
            _play(_Api(session, Path(os.environ.get("VAR_DIR") or "var") / "run.json"))
    except (StackError, requests.RequestException) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


class _Api:
    """The API of the stack that a `run.json` describes."""

    def __init__(self, session: requests.Session, path: Path) -> None:
        run = read_json(path)
        if not run:
            raise StackError(f"nothing is running here: there is no {path}. Start it: make run")
        self._url = run["base_url"]
        self._session = session
        session.headers["Authorization"] = f"Bearer {run['api_key']}"

    def ask(
        self, method: str, path: str, body: object = None, *, key: str = ""
    ) -> requests.Response:
        headers = {"Idempotency-Key": key} if key else None
        return self._session.request(
            method, self._url + path, json=body, headers=headers, timeout=10
        )

    def must(self, method: str, path: str, body: object = None, *, key: str = "") -> Any:
        """What a success answers; StackError for anything else."""
        answer = self.ask(method, path, body, key=key)
        if not answer.ok:
            raise StackError(f"{method} {path} was answered {answer.status_code}: {answer.text}")
        return answer.json()


def _play(api: _Api) -> None:
    with Hooks() as hooks:
        made = api.must("POST", "/webhooks", {"endpoint": hooks.url, "events": ["email.*"]})
        print(f"Webhook endpoint {made['id']} at {hooks.url}")
        hooks.secret = made["signing_secret"]
        try:
            run = uuid.uuid4().hex[:8]  # an address that bounced gets no more mail
            sent = _send(api, run)
            _show_webhooks(hooks, sent)
            _show_ends(api, sent)
            _try_again(api, f"anyone-{run}@bounce.twin.test")
        finally:
            api.must("DELETE", f"/webhooks/{made['id']}")
            print(f"\nDeleted webhook endpoint {made['id']}.")


def _send(api: _Api, run: str) -> dict[str, dict[str, Any]]:
    """Send everything; what was sent, by the id of the email."""
    print("\nSending")
    hello = _mail("Hello", f"Ada Lovelace <ada-{run}@example.com>")
    several = _mail(
        "To several", f"Grace Hopper <grace-{run}@example.com>", f"al-{run}@example.com"
    )
    several |= {"cc": [f"Copy <copy-{run}@example.net>"], "html": "<p>Hi <b>all</b></p>"}
    tagged = _mail("Tagged", f"tagged-{run}@example.com")
    tagged |= {"tags": [{"name": "campaign", "value": "demo"}]}
    once = _mail("Only once", f"once-{run}@example.com")
    bounce = _mail("Bounces", f"anyone-{run}@bounce.twin.test")
    batch = [_mail(f"Batch {n}", f"batch{n}-{run}@example.com") for n in (1, 2, 3)]
    sent = {}
    for mail in (hello, several, tagged, bounce):
        sent[_told(api.must("POST", "/emails", mail), mail)] = mail
    for attempt in ("first", "same again"):
        answer = api.must("POST", "/emails", once, key=f"demo-{run}")
        sent[_told(answer, once, f" (idempotency key demo-{run}, {attempt})")] = once
    answers = api.must("POST", "/emails/batch", batch)["data"]
    for answer, mail in zip(answers, batch, strict=True):
        sent[_told(answer, mail)] = mail
    return sent


def _mail(subject: str, *recipients: str) -> dict[str, Any]:
    return {"from": _SENDER, "to": list(recipients), "subject": subject, "text": f"{subject}!"}


def _told(answer: dict[str, str], mail: dict[str, Any], note: str = "") -> str:
    print(f"  {answer['id']}  {mail['subject']:10}  to {', '.join(mail['to'])}{note}")
    return answer["id"]


def _show_webhooks(hooks: Hooks, sent: dict[str, dict[str, Any]]) -> None:
    """Until every mail was told as sent, and what became of it for each of its recipients.

    StackError when that takes too long.
    """
    print("\nWebhooks, as they arrive")
    until = time.monotonic() + _SECONDS
    waiting = {key: 1 + len(mail["to"] + mail.get("cc", [])) for key, mail in sent.items()}
    known = set()  # a webhook may come twice: it is delivered at least once
    while any(left > 0 for left in waiting.values()):
        heard = hooks.next(seconds=until - time.monotonic())
        if heard is None:
            names = ", ".join(sent[key]["subject"] for key, left in waiting.items() if left > 0)
            raise StackError(f"webhooks are missing after {_SECONDS:.0f} s, for: {names}")
        event, genuine = heard
        data = event["data"]
        if event["id"] in known or data["email_id"] not in sent:  # mail of somebody else here
            continue
        known.add(event["id"])
        verdict = "signature verified" if genuine else "SIGNATURE WRONG"
        to = data.get("recipient", "")
        print(f"  {event['type']:16} {data['subject']:10}  {to:42} {verdict}")
        if not genuine:
            raise StackError("a webhook came whose signature is wrong")
        waiting[data["email_id"]] -= 1


def _show_ends(api: _Api, sent: dict[str, dict[str, Any]]) -> None:
    print("\nHow they ended")
    for email_id, mail in sent.items():
        email = api.must("GET", f"/emails/{email_id}")
        each = [f"{one['address']} {one['status']}" for one in email["recipients"]]
        print(f"  {mail['subject']:10}  {email['status']:10}  {', '.join(each)}")


def _try_again(api: _Api, address: str) -> None:
    print(f"\nSending to {address} again, which bounced")
    answer = api.ask("POST", "/emails", _mail("Again", address))
    if answer.status_code != 422:
        raise StackError(f"that should be refused with 422, not {answer.status_code}")
    refusal = answer.json()
    print(f"  {answer.status_code} {refusal['name']}: {refusal['message']}")


if __name__ == "__main__":
    sys.exit(main())
