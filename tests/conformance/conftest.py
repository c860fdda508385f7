"""A running product, with a separate workspace for these tests."""

import os
import subprocess
import sys
import uuid

import pytest

from tests.clients import use_resend, wait_until
from tests.conformance import errors, scenario
from tests.conformance.client_methods import ASYNC, Calls, opensend_methods, resend_methods
from tests.journey.product import ROOT, Endpoint

WORKSPACE = "Conformance"


@pytest.fixture(scope="session")
def token(product):
    """The API key of a separate workspace, created the way an operator does."""
    settings = {
        "LOCAL_MODE": "true",
        "DATABASE_URL": product.facts["database_url"],
        "REDIS_URL": product.facts["redis_url"],
        "VAR_DIR": str(product.var_dir),
    }
    command = [sys.executable, "manage.py", "create_api_key", WORKSPACE]
    result = subprocess.run(
        command, cwd=ROOT, env=os.environ | settings, capture_output=True, text=True, check=True
    )
    return result.stdout.strip()


@pytest.fixture(scope="session")
def client(product, token):
    """The unmodified PyPI client `resend`, with our URL and API key."""
    with pytest.MonkeyPatch.context() as patch:
        yield use_resend(patch, product.facts["base_url"], token)


@pytest.fixture(scope="session")
def mail(client):
    """Builds the parameters of a mail from a verified domain of this workspace."""
    params = {"name": f"{uuid.uuid4().hex[:12]}.example.org", "region": "us-east-1"}
    domain = client.Domains.create(params)
    wait_until(lambda: client.Domains.verify(domain["id"])["status"] == "verified")

    def mail(**changes):
        return {
            "from": f"Ada <ada@{domain['name']}>",
            "to": f"somebody-{uuid.uuid4().hex[:12]}@example.net",
            "subject": "Hello",
            "text": "Hi",
            **changes,
        }

    return mail


@pytest.fixture(scope="session")
def resend_verdicts(client):
    """{"": {method: verdict}, "_async": {method: verdict}}, from a call of each method."""
    methods, verdicts = resend_methods(), {}
    for suffix in ("", ASYNC):
        calls = Calls(methods, error=client.exceptions.ResendError, suffix=suffix)
        with Endpoint() as hook:
            scenario.play(calls, hook)
        verdicts[suffix] = calls.verdicts
    return verdicts


@pytest.fixture(scope="session")
def opensend_verdicts(product, opensend_module, token, mail):
    """{method: verdict} of the client `opensend`, from a call of each method."""
    settings = {"api_key": token, "base_url": product.facts["base_url"]}
    methods = dict(opensend_methods(opensend_module, **settings))
    calls = Calls(methods, error=opensend_module.OpenSendError, typed=False)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setattr(opensend_module, name, value)
        scenario.play_opensend(calls, mail)
    return calls.verdicts


@pytest.fixture(scope="session")
def raised_errors(product, client, mail):
    """[(situation, status and name of the error, exception class of the client)]"""
    return errors.play(client, mail, product)
