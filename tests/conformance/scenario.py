"""Calls every method of the client `resend`, in a realistic order."""

import uuid
from datetime import UTC, datetime, timedelta

from tests.clients import wait_until

NOBODY = "018f0000-0000-7000-8000-000000000000"
NOT_SUPPORTED = "404 not_found"


def play(calls, hook):
    """Call every method through `calls`; `hook` is an endpoint that receives webhooks."""
    domain = _domains(calls)
    webhook = calls.works("Webhooks.create", {"endpoint": hook.url, "events": ["*"]})
    hook.expect(webhook["signing_secret"])
    sent = _emails(calls, domain)
    _webhooks(calls, hook, webhook["id"], sent)
    _receiving(calls)
    _api_keys(calls, domain)
    _contacts(calls)
    _suppressions(calls)
    calls.works("Domains.remove", domain["id"])


def _domains(calls):
    params = {"name": f"{uuid.uuid4().hex[:12]}.example.com", "region": "us-east-1"}
    created = calls.works("Domains.create", params)
    calls.works("Domains.verify", created["id"])
    changes = {"open_tracking": False, "click_tracking": False}
    calls.works("Domains.update", {"id": created["id"], **changes})
    calls.fails(NOT_SUPPORTED, "Domains.Claims.create", {"name": created["name"]})
    calls.fails(NOT_SUPPORTED, "Domains.Claims.get", created["id"])
    calls.fails(NOT_SUPPORTED, "Domains.Claims.verify", created["id"])

    def verified():
        got = calls.works("Domains.get", created["id"])
        return got if got["status"] == "verified" else None

    domain = wait_until(verified, what="verification")
    assert domain["records"]
    assert created["id"] in [each["id"] for each in calls.works("Domains.list")["data"]]
    return domain


def _emails(calls, domain):
    mail = {
        "from": f"Ada <ada@{domain['name']}>",
        "to": [_new_address()],
        "subject": "Hello",
        "html": "<p>Hi</p>",
        "tags": [{"name": "team", "value": "blue"}],
    }
    file = {"filename": "a.txt", "content": list(b"A file"), "content_type": "text/plain"}
    sent = calls.works("Emails.send", {**mail, "cc": _new_address(), "attachments": [file]})
    got = calls.works("Emails.get", sent["id"])
    assert (got["subject"], got["html"], got["from"]) == ("Hello", "<p>Hi</p>", mail["from"])
    (listed,) = calls.works("Emails.Attachments.list", sent["id"])["data"]
    attachment = calls.works("Emails.Attachments.get", sent["id"], listed["id"])
    assert (attachment["filename"], attachment["size"]) == ("a.txt", len("A file"))

    batch = calls.works("Batch.send", [mail, {**mail, "to": [_new_address()]}])
    newest = calls.works("Emails.list", {"limit": 2})
    assert {each["id"] for each in newest["data"]} == {each["id"] for each in batch["data"]}
    _scheduled(calls, mail)
    calls.fails(NOT_SUPPORTED, "Emails.share", sent["id"])
    calls.fails(NOT_SUPPORTED, "Emails.metrics", {"metrics": ["sent"]})
    return sent


def _scheduled(calls, mail):
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    later = calls.works("Emails.send", {**mail, "scheduled_at": tomorrow.isoformat()})
    moved = {"id": later["id"], "scheduled_at": (tomorrow + timedelta(hours=1)).isoformat()}
    assert calls.works("Emails.update", moved)["id"] == later["id"]
    assert calls.works("Emails.cancel", later["id"])["id"] == later["id"]
    assert calls.works("Emails.get", later["id"])["last_event"] in ("canceled", "cancelled")


def _webhooks(calls, hook, webhook_id, sent):
    wait_until(lambda: "email.delivered" in hook.types[sent["id"]], what="email.delivered")
    request = hook.events(sent["id"])[0]
    names = ("id", "timestamp", "signature")
    options = {
        "payload": request.body.decode(),
        "headers": {name: request.headers[f"svix-{name}"] for name in names},
        "webhook_secret": hook.secret,
    }
    assert calls.works("Webhooks.verify", options) == request.event

    event_id = request.event["id"]
    listed = calls.works("Webhooks.list_events", webhook_id, {"limit": 100})["data"]
    assert event_id in [each["id"] for each in listed]
    got = wait_until(
        lambda: _succeeded(calls.works("Webhooks.get_event", webhook_id, event_id)),
        what="a successful delivery",
    )
    assert got["payload"] == request.event
    attempts = calls.works("Webhooks.list_event_attempts", webhook_id, event_id)["data"]
    assert [each["http_status_code"] for each in attempts] == [204]
    assert calls.works("Webhooks.replay_event", webhook_id, event_id)["id"] == event_id

    rotated = calls.works("Webhooks.rotate_signing_secret", webhook_id)
    assert rotated["signing_secret"] != hook.secret
    changes = {"webhook_id": webhook_id, "events": ["email.sent"], "status": "disabled"}
    calls.works("Webhooks.update", changes)
    read = calls.works("Webhooks.get", webhook_id)
    assert (read["events"], read["status"]) == (["email.sent"], "disabled")
    assert [each["id"] for each in calls.works("Webhooks.list")["data"]] == [webhook_id]
    assert calls.works("Webhooks.remove", webhook_id)["deleted"] is True


def _succeeded(delivery):
    return delivery if delivery["status"] == "success" else None


def _receiving(calls):
    assert calls.works("Emails.Receiving.list", {"limit": 10})["data"] == []
    calls.fails(NOT_SUPPORTED, "Emails.Receiving.get", NOBODY, {"html_format": "cid"})
    calls.fails(NOT_SUPPORTED, "Emails.Receiving.Attachments.list", NOBODY)
    calls.fails(NOT_SUPPORTED, "Emails.Receiving.Attachments.get", NOBODY, NOBODY)


def _api_keys(calls, domain):
    restriction = {"permission": "sending_access", "domain_id": domain["id"]}
    created = calls.works("ApiKeys.create", {"name": "site", **restriction})
    assert created["token"].startswith("os_")
    assert (
        calls.works("ApiKeys.update", {"id": created["id"], "name": "shop"})["id"] == created["id"]
    )
    listed = {each["id"]: each["name"] for each in calls.works("ApiKeys.list")["data"]}
    assert listed[created["id"]] == "shop"
    calls.works("ApiKeys.remove", created["id"])


def _contacts(calls):
    address = _new_address()
    created = calls.works("Contacts.create", {"email": address, "properties": {"plan": "pro"}})
    calls.works("Contacts.update", {"email": address, "first_name": "Ann"})
    got = calls.works("Contacts.get", email=address)
    assert (got["id"], got["first_name"]) == (created["id"], "Ann")
    assert [each["id"] for each in calls.works("Contacts.list")["data"]] == [created["id"]]
    segment = {"email": address, "segment_id": NOBODY}
    calls.fails(NOT_SUPPORTED, "Contacts.Segments.add", segment)
    calls.fails(NOT_SUPPORTED, "Contacts.Segments.remove", segment)
    calls.fails(NOT_SUPPORTED, "Contacts.Segments.list", {"email": address})
    calls.fails(NOT_SUPPORTED, "Contacts.Topics.list", email=address)
    choice = {"id": NOBODY, "subscription": "opt_in"}
    calls.fails(NOT_SUPPORTED, "Contacts.Topics.update", {"email": address, "topics": [choice]})
    calls.fails(NOT_SUPPORTED, "Contacts.Imports.create", {"file": b"email\na@example.net\n"})
    calls.fails(NOT_SUPPORTED, "Contacts.Imports.get", NOBODY)
    calls.fails(NOT_SUPPORTED, "Contacts.Imports.list")
    assert calls.works("Contacts.remove", email=address)["deleted"] is True


def _suppressions(calls):
    address, others = _new_address(), [_new_address(), _new_address()]
    created = calls.works("Suppressions.add", {"email": address})
    assert calls.works("Suppressions.get", address)["id"] == created["id"]
    assert len(calls.works("Suppressions.Batch.add", {"emails": others})["data"]) == 2
    listed = calls.works("Suppressions.list", {"origin": "manual"})["data"]
    assert {each["email"] for each in listed} >= {address, *others}
    assert len(calls.works("Suppressions.Batch.remove", {"emails": others})["data"]) == 2
    assert calls.works("Suppressions.remove", address)["deleted"] is True


def _new_address():
    return f"somebody-{uuid.uuid4().hex[:12]}@example.net"


def play_opensend(calls, mail):
    """Call both methods of the client `opensend`."""
    for client in ("OpenSend(...).emails", "Resend(...).emails", "Emails"):
        params = mail()
        params["from_email"] = params.pop("from")
        assert calls.works(f"{client}.send", params)["id"]
        assert len(calls.works(f"{client}.send_batch", [params, params])["data"]) == 2
