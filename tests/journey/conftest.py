import uuid

import pytest
import resend

from tests.journey.product_running import Endpoint


@pytest.fixture
def resend_client(product, monkeypatch):
    """The PyPI client `resend`, changed in nothing but its address and key."""
    monkeypatch.setattr(resend, "api_url", product.facts["base_url"])
    monkeypatch.setattr(resend, "api_key", product.facts["api_key"])
    return resend


@pytest.fixture
def opensend_client(product, opensend_module):
    facts = product.facts
    return opensend_module.OpenSend(facts["api_key"], base_url=facts["base_url"])


@pytest.fixture
def hook(resend_client):
    """An endpoint that hears everything, made by the client; it keeps its `secret`."""
    with Endpoint() as endpoint:
        made = resend_client.Webhooks.create({"endpoint": endpoint.url, "events": ["*"]})
        endpoint.expect(made["signing_secret"])
        yield endpoint
        resend_client.Webhooks.remove(made["id"])


@pytest.fixture
def somebody():
    """Make an address that had no mail before: one that bounced gets no more."""

    def somebody(domain="example.com"):
        return f"somebody-{uuid.uuid4().hex[:12]}@{domain}"

    return somebody


@pytest.fixture
def mail(somebody):
    """Make the parameters of a mail, as the clients take them."""

    def mail(*to, **fields):
        return {
            "from": "Ada Lovelace <ada@demo.opensend.test>",
            "to": list(to) or [somebody()],
            "subject": "Hello",
            "html": "<p>Hi <b>there</b></p>",
            **fields,
        }

    return mail
