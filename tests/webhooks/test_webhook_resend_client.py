"""Resend's own Python client works against ours unchanged."""

import pytest
import resend

pytestmark = pytest.mark.django_db(transaction=True)

URL = "https://hooks.example.com/opensend"


@pytest.fixture(autouse=True)
def _client(live_server, api_key, monkeypatch):
    monkeypatch.setattr(resend, "api_url", live_server.url)
    monkeypatch.setattr(resend, "api_key", api_key[1])


def test_an_endpoint_from_its_creation_to_its_end():
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


def test_a_refused_url_raises_with_the_field_named():
    with pytest.raises(resend.exceptions.ValidationError, match="endpoint"):
        resend.Webhooks.create({"endpoint": "https://10.0.0.1:22/", "events": ["email.sent"]})


def test_an_endpoint_that_is_not_there_raises():
    with pytest.raises(resend.exceptions.ResendError):
        resend.Webhooks.get("018f0000-0000-7000-8000-000000000000")
