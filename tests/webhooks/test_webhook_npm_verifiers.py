"""The npm libraries accept our requests and refuse forgeries."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from tests.node_scripts import running
from webhooks.dispatch.loop import deliver_due
from webhooks.dispatch.signing import Key, Keyring, decrypt_keyring
from webhooks.models import Endpoint

pytestmark = pytest.mark.django_db(transaction=True)

LIBRARIES = ("svix", "standardwebhooks", "resend")
# Characters that JSON, JavaScript and HTTP may decode differently.
TEXT = "Zoë \N{LINE SEPARATOR} \N{GRINNING FACE} </script> \\u0000"


@pytest.fixture(scope="module")
def node():
    with running("verify.mjs") as process:
        yield process


@pytest.fixture
def is_verified(node):
    """Whether a request verifies with a secret; all libraries must agree."""

    def verify(secret, request):
        headers = lower_case_headers(request)
        case = {"secret": secret, "headers": headers, "body": request.body.decode()}
        print(json.dumps([case]), file=node.stdin, flush=True)
        (verdicts,) = json.loads(node.stdout.readline())
        assert verdicts in [dict.fromkeys(LIBRARIES, passed) for passed in (True, False)]
        return verdicts["svix"]

    return verify


@pytest.fixture(params=[False, True], ids=["v1", "v1 and v1a"])
def endpoint(request, api, sink):
    """The response to a creation."""
    body = {"endpoint": sink.url(), "events": ["*"], "ed25519": request.param}
    return api.post("/webhooks", body).json()


@pytest.fixture
def delivered(endpoint, sink, publish_events):
    """Deliver an event; returns the received request."""

    def deliver():
        publish_events(first_name=TEXT)
        deliver_due()
        request = sink.received[-1]
        assert ("v1a," in request.header("webhook-signature")) == endpoint["ed25519"]
        return request

    return deliver


@pytest.fixture
def rotate(api, endpoint):
    """Rotate the secret; returns the new one."""
    path = f"/webhooks/{endpoint['id']}/signing-secret/rotate"
    return lambda: api.post(path).json()["signing_secret"]


def lower_case_headers(request):
    """Headers in Node's spelling."""
    return {name.lower(): value for name, value in request.headers.items()}


def with_headers(request, **headers):
    changed = {name.replace("_", "-"): value for name, value in headers.items()}
    return replace(request, headers=lower_case_headers(request) | changed)


def expire_older_keys():
    endpoint = Endpoint.objects.get()
    newest, *older = decrypt_keyring(endpoint.encrypted_keyring).keys
    ended = Keyring((newest, *(replace(key, until=1) for key in older)))
    Endpoint.objects.update(encrypted_keyring=ended.encrypted())


def test_verification_before_during_and_after_a_rotation(endpoint, delivered, rotate, is_verified):
    first = endpoint["signing_secret"]
    assert is_verified(first, delivered())

    second = rotate()
    during = delivered()
    assert is_verified(first, during)
    assert is_verified(second, during)

    expire_older_keys()
    after = delivered()
    assert is_verified(second, after)
    assert not is_verified(first, after)


def test_every_secret_verifies_after_several_rotations(endpoint, delivered, rotate, is_verified):
    secrets = [endpoint["signing_secret"], rotate(), rotate(), rotate()]
    request = delivered()
    assert all(is_verified(secret, request) for secret in secrets)


def test_another_secret_is_refused(delivered, is_verified):
    assert not is_verified(Key.new().secret, delivered())


def test_an_altered_body_is_refused(endpoint, delivered, is_verified):
    request = delivered()
    forged = replace(request, body=request.body.replace(b"Zo", b"Lo"))
    assert not is_verified(endpoint["signing_secret"], forged)


def test_another_id_is_refused(endpoint, delivered, is_verified):
    other = {"webhook_id": "whd_other", "svix_id": "whd_other"}
    assert not is_verified(endpoint["signing_secret"], with_headers(delivered(), **other))


def test_an_old_request_is_refused(endpoint, delivered, is_verified):
    """A valid signature does not help."""
    with time_machine.travel(datetime.now(UTC) - timedelta(minutes=10)):
        request = delivered()
    assert not is_verified(endpoint["signing_secret"], request)
