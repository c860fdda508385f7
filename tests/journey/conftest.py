import importlib.util
import sys
import tempfile
import uuid
from importlib.metadata import distribution
from pathlib import Path

import pytest
import resend

from tests.journey.product_running import Endpoint, Product


@pytest.fixture(scope="session")
def product():
    """The whole product, started once for all of the journeys."""
    with tempfile.TemporaryDirectory(
        prefix="opensend-journey-", ignore_cleanup_errors=True
    ) as folder:
        running = Product(Path(folder)).start()
        try:
            yield running
        finally:
            running.stop()


@pytest.fixture
def resend_client(product, monkeypatch):
    """The PyPI client `resend`, changed in nothing but its address and key."""
    monkeypatch.setattr(resend, "api_url", product.facts["base_url"])
    monkeypatch.setattr(resend, "api_key", product.facts["api_key"])
    return resend


@pytest.fixture(scope="session")
def opensend_module():
    """The PyPI client `opensend`; by its file, because our own project bears the same name."""
    path = distribution("opensend").locate_file("opensend/__init__.py")
    spec = importlib.util.spec_from_file_location("opensend_from_pypi", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


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
