"""The npm libraries let our requests through, and nobody else's."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from tests.node_scripts import running
from webhooks.dispatch.loop import deliver_due
from webhooks.dispatch.signing import Key, Keyring, opened
from webhooks.models import Endpoint

pytestmark = pytest.mark.django_db(transaction=True)

LIBRARIES = ("svix", "standardwebhooks", "resend")
# What JSON, JavaScript and HTTP are apt to read in different ways.
TEXT = "Zoë \N{LINE SEPARATOR} \N{GRINNING FACE} </script> \\u0000"


@pytest.fixture(scope="module")
def node():
    with running("verify.mjs") as process:
        yield process


@pytest.fixture
def passes(node):
    """Whether a request passes with a secret: the same verdict of all libraries."""

    def judge(secret, request):
        case = {"secret": secret, "headers": lowered(request), "body": request.body.decode()}
        print(json.dumps([case]), file=node.stdin, flush=True)
        (verdicts,) = json.loads(node.stdout.readline())
        assert verdicts in [dict.fromkeys(LIBRARIES, passed) for passed in (True, False)]
        return verdicts["svix"]

    return judge


@pytest.fixture(params=[False, True], ids=["v1", "v1 and v1a"])
def endpoint(request, api, sink):
    """The answer to a creation."""
    wanted = {"endpoint": sink.url(), "events": ["*"], "ed25519": request.param}
    return api.post("/webhooks", wanted).json()


@pytest.fixture
def delivered(endpoint, sink, happen):
    """Deliver an event; the request as it was received."""

    def deliver():
        happen(first_name=TEXT)
        deliver_due()
        request = sink.received[-1]
        assert ("v1a," in request.header("webhook-signature")) == endpoint["ed25519"]
        return request

    return deliver


@pytest.fixture
def rotate(api, endpoint):
    """Ask for a new secret."""
    path = f"/webhooks/{endpoint['id']}/signing-secret/rotate"
    return lambda: api.post(path).json()["signing_secret"]


def lowered(request):
    """Headers as Node shows them."""
    return {name.lower(): value for name, value in request.headers.items()}


def altered(request, **headers):
    changed = {name.replace("_", "-"): value for name, value in headers.items()}
    return replace(request, headers=lowered(request) | changed)


def end_the_overlap():
    endpoint = Endpoint.objects.get()
    newest, *older = opened(endpoint.encrypted_keyring).keys
    ended = Keyring((newest, *(replace(key, until=1) for key in older)))
    Endpoint.objects.update(encrypted_keyring=ended.sealed())


def test_before_during_and_after_a_rotation(endpoint, delivered, rotate, passes):
    first = endpoint["signing_secret"]
    assert passes(first, delivered())

    second = rotate()
    during = delivered()
    assert passes(first, during)
    assert passes(second, during)

    end_the_overlap()
    after = delivered()
    assert passes(second, after)
    assert not passes(first, after)


def test_every_secret_of_several_rotations(endpoint, delivered, rotate, passes):
    secrets = [endpoint["signing_secret"], rotate(), rotate(), rotate()]
    request = delivered()
    assert all(passes(secret, request) for secret in secrets)


def test_another_secret(delivered, passes):
    assert not passes(Key.new().secret, delivered())


def test_an_altered_body(endpoint, delivered, passes):
    request = delivered()
    forged = replace(request, body=request.body.replace(b"Zo", b"Lo"))
    assert not passes(endpoint["signing_secret"], forged)


def test_another_id(endpoint, delivered, passes):
    other = {"webhook_id": "whd_other", "svix_id": "whd_other"}
    assert not passes(endpoint["signing_secret"], altered(delivered(), **other))


def test_an_old_request(endpoint, delivered, passes):
    """However well it is signed."""
    with time_machine.travel(datetime.now(UTC) - timedelta(minutes=10)):
        request = delivered()
    assert not passes(endpoint["signing_secret"], request)
