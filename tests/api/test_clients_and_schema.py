"""The requests of the PyPI clients for mail and keys match the OpenAPI document.

Tests of other resources are next to those resources.
"""

import pytest
import resend

from tests import api_schema
from tests.clients import use_resend

pytestmark = pytest.mark.django_db(transaction=True)

MAIL = {
    "from": "Ada <ada@example.com>",
    "to": ["bob@example.net"],
    "subject": "Hello",
    "html": "<p>Hi</p>",
    "tags": [{"name": "team", "value": "blue"}],
}


@pytest.fixture(autouse=True)
def _client(live_server, api_key, monkeypatch):
    use_resend(monkeypatch, live_server.url, api_key[1])


@pytest.fixture
def checked_operations(monkeypatch):
    """The operations whose request was checked and matched the document."""
    original, places = api_schema._check, []

    def checked(place, value):
        original(place, value)
        if "requestBody" in place:
            places.append(place.removeprefix("paths/~1").partition("/requestBody")[0])

    monkeypatch.setattr(api_schema, "_check", checked)
    return places


def test_resend_sends_mail_as_described(domain, checked_operations):
    file = {"filename": "a.txt", "content": list(b"A file"), "content_type": "text/plain"}
    resend.Emails.send({**MAIL, "cc": "carla@example.net", "attachments": [file]})
    resend.Batch.send([MAIL, MAIL], {"idempotency_key": "once"})
    later = resend.Emails.send({**MAIL, "scheduled_at": "in 1 hour"})
    resend.Emails.update({"id": later["id"], "scheduled_at": "in 2 hours"})
    assert checked_operations == [
        *("emails/post", "emails~1batch/post", "emails/post"),
        "emails~1{email_id}/patch",
    ]


def test_resend_manages_keys_as_described(domain, checked_operations):
    restriction = {"permission": "sending_access", "domain_id": str(domain.pk)}
    key = resend.ApiKeys.create({"name": "site", **restriction})
    resend.ApiKeys.update({"id": key["id"], "name": "shop"})
    assert checked_operations == ["api-keys/post", "api-keys~1{key_id}/patch"]


def test_opensend_sends_mail_as_described(
    domain, checked_operations, opensend_module, live_server, api_key
):
    emails = opensend_module.OpenSend(api_key[1], base_url=live_server.url).emails
    params = {**MAIL, "from_email": MAIL["from"]}
    del params["from"]
    emails.send(params)
    emails.send_batch([params, params])
    assert checked_operations == ["emails/post", "emails~1batch/post"]
