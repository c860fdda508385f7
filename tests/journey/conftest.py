import uuid

import pytest

from tests.clients import use_resend
from tests.journey.product import Endpoint


@pytest.fixture
def resend_client(product, monkeypatch):
    """The unmodified PyPI client `resend`, with our URL and API key."""
    return use_resend(monkeypatch, product.facts["base_url"], product.facts["api_key"])


@pytest.fixture
def opensend_client(product, opensend_module):
    facts = product.facts
    return opensend_module.OpenSend(facts["api_key"], base_url=facts["base_url"])


@pytest.fixture
def hook(resend_client):
    """An endpoint subscribed to every event, created by the client; it stores its `secret`."""
    with Endpoint() as endpoint:
        webhook = resend_client.Webhooks.create({"endpoint": endpoint.url, "events": ["*"]})
        endpoint.expect(webhook["signing_secret"])
        yield endpoint
        resend_client.Webhooks.remove(webhook["id"])


@pytest.fixture
def somebody():
    """Returns a new address each time: an address that bounced is suppressed."""

    def somebody(domain="example.com"):
        return f"somebody-{uuid.uuid4().hex[:12]}@{domain}"

    return somebody


@pytest.fixture
def mail(somebody):
    """Builds the parameters of a mail for the clients."""

    def mail(*to, **fields):
        return {
            "from": "Ada Lovelace <ada@demo.opensend.test>",
            "to": list(to) or [somebody()],
            "subject": "Hello",
            "html": "<p>Hi <b>there</b></p>",
            **fields,
        }

    return mail
