"""Resend's Python client works with our API unchanged."""

import orjson
import pytest
import resend

from tests.clients import use_resend
from webhooks.dispatch.loop import deliver_due

pytestmark = pytest.mark.django_db(transaction=True)

URL = "https://hooks.example.com/opensend"


@pytest.fixture(autouse=True)
def _client(live_server, api_key, monkeypatch):
    use_resend(monkeypatch, live_server.url, api_key[1])


def test_endpoint_lifecycle():
    made = resend.Webhooks.create({"endpoint": URL, "events": ["email.sent"]})
    assert made["object"] == "webhook"
    assert made["signing_secret"].startswith("whsec_")

    got = resend.Webhooks.get(made["id"])
    assert (got["endpoint"], got["events"], got["status"]) == (URL, ["email.sent"], "enabled")

    changed = resend.Webhooks.update(
        {"webhook_id": made["id"], "events": ["email.*"], "status": "disabled"}
    )
    assert changed["id"] == made["id"]
    assert resend.Webhooks.get(made["id"])["status"] == "disabled"

    listed = resend.Webhooks.list()
    assert [item["id"] for item in listed["data"]] == [made["id"]]
    assert listed["has_more"] is False

    assert resend.Webhooks.remove(made["id"])["deleted"] is True
    assert resend.Webhooks.list()["data"] == []


def test_events_are_listed_and_replayed(sink, publish_events):
    made = resend.Webhooks.create({"endpoint": sink.url(), "events": ["contact.created"]})
    [event] = publish_events("contact.created")
    deliver_due()

    [listed] = resend.Webhooks.list_events(made["id"])["data"]
    assert (listed["id"], listed["type"]) == (event.public_id, "contact.created")
    assert listed["status"] == "success"
    got = resend.Webhooks.get_event(made["id"], listed["id"])
    assert (got["object"], got["next_attempt_at"]) == ("webhook_event", None)
    assert got["payload"] == orjson.loads(sink.received[0].body)
    [attempt] = resend.Webhooks.list_event_attempts(made["id"], listed["id"])["data"]
    assert (attempt["http_status_code"], attempt["response"]) == (200, "")
    assert attempt["sent_at"] >= listed["created_at"]

    assert resend.Webhooks.replay_event(made["id"], listed["id"])["id"] == listed["id"]
    deliver_due()
    assert sink.received[1].body == sink.received[0].body


def test_a_rotated_secret_verifies_and_so_does_the_old_one(sink, publish_events):
    made = resend.Webhooks.create({"endpoint": sink.url(), "events": ["contact.created"]})
    rotated = resend.Webhooks.rotate_signing_secret(made["id"])
    assert rotated["signing_secret"] != made["signing_secret"]
    [event] = publish_events("contact.created")
    deliver_due()
    [got] = sink.received
    for secret in (made["signing_secret"], rotated["signing_secret"]):
        verified = resend.Webhooks.verify(
            {
                "payload": got.body.decode(),
                "headers": {
                    name: got.header(f"svix-{name}") for name in ("id", "timestamp", "signature")
                },
                "webhook_secret": secret,
            }
        )
        assert verified["id"] == event.public_id


def test_a_refused_url_raises_with_the_field_name():
    with pytest.raises(resend.exceptions.ValidationError, match="endpoint"):
        resend.Webhooks.create({"endpoint": "https://10.0.0.1:22/", "events": ["email.sent"]})


def test_an_unknown_endpoint_raises():
    with pytest.raises(resend.exceptions.ResendError):
        resend.Webhooks.get("018f0000-0000-7000-8000-000000000000")
