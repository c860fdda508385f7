"""Rotating an endpoint's secret while receivers keep verifying."""

import base64
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
import resend
import standardwebhooks
import svix.webhooks
import time_machine
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from core.times import iso
from tests.database import waiting_for_our_lock
from webhooks import services
from webhooks.dispatch.loop import deliver_due
from webhooks.dispatch.signing import MAX_KEYS, OVERLAP, Key, Keyring, decrypt_keyring, headers
from webhooks.models import Endpoint

NOW = datetime(2026, 5, 10, 12, 0, 0, tzinfo=UTC)
transactional = pytest.mark.django_db(transaction=True)


@pytest.fixture
def endpoint(api, sink):
    """The response to a creation, at the sink."""
    return api.post("/webhooks", {"endpoint": sink.url(), "events": ["*"]}).json()


@pytest.fixture
def rotate(api, endpoint):
    def post(**headers):
        path = f"/webhooks/{endpoint['id']}/signing-secret/rotate"
        return api.post(path, headers={name.replace("_", "-"): v for name, v in headers.items()})

    return post


@pytest.fixture
def deliver(sink, publish_events):
    """Deliver one event; returns the received request."""

    def run():
        publish_events()
        deliver_due()
        return sink.received[-1]

    return run


def stored():
    return decrypt_keyring(Endpoint.objects.get().encrypted_keyring)


# --- Receivers ------------------------------------------------------------------------


def by_svix(secret, request):
    svix.webhooks.Webhook(secret).verify(request.body, request.headers)


def by_standardwebhooks(secret, request):
    kept = {name: value for name, value in request.headers.items() if "svix" not in name}
    standardwebhooks.Webhook(secret).verify(request.body, kept)


def by_resend(secret, request):
    named = {name: request.headers[f"svix-{name}"] for name in ("id", "timestamp", "signature")}
    options = {"payload": request.body.decode(), "headers": named, "webhook_secret": secret}
    resend.Webhooks.verify(options)


LIBRARIES = pytest.mark.parametrize("verify", [by_svix, by_standardwebhooks, by_resend])


def refuses(verify, secret, request):
    with pytest.raises(Exception, match=r"(?i)signature"):
        verify(secret, request)
    return True


@contextmanager
def clock_ahead(span):
    """Run with the clock of this process ahead."""
    with time_machine.travel(datetime.now(UTC) + span):
        yield


@transactional
@pytest.mark.parametrize("v1a", [False, True])
@LIBRARIES
def test_libraries_verify_before_during_and_after_a_rotation(
    api, endpoint, rotate, deliver, verify, v1a
):
    api.patch(f"/webhooks/{endpoint['id']}", {"ed25519": v1a})
    old = endpoint["signing_secret"]
    before = deliver()
    verify(old, before)
    assert before.header("webhook-signature").count("v1a,") == v1a

    new = rotate().json()["signing_secret"]
    assert refuses(verify, new, before)
    during = deliver()
    verify(old, during)
    verify(new, during)
    assert during.header("webhook-signature").count("v1a,") == 2 * v1a
    assert refuses(verify, Key.new().secret, during)

    with clock_ahead(OVERLAP - timedelta(minutes=1)):
        verify(old, deliver())
    with clock_ahead(OVERLAP + timedelta(seconds=1)):
        after = deliver()
        verify(new, after)
        assert refuses(verify, old, after)


@transactional
def test_x_signature_uses_the_newest_secret(endpoint, rotate, deliver):
    new = rotate().json()["signing_secret"]
    request = deliver()
    keyring = Keyring((Key(new),))
    alone = headers(
        keyring,
        event_id=request.header("webhook-id"),
        attempt=1,
        timestamp=int(request.header("X-Timestamp")),
        body=request.body,
    )
    assert request.header("X-Signature") == alone["X-Signature"]


def v1a_by(public_key, request):
    """How many of the request's signatures are by this key."""
    verifier = Ed25519PublicKey.from_public_bytes(
        base64.b64decode(public_key.removeprefix("whpk_"), validate=True)
    )
    signed = f"{request.header('webhook-id')}.{request.header('webhook-timestamp')}.".encode()
    found = 0
    for signature in request.header("webhook-signature").split(" "):
        version, _, encoded = signature.partition(",")
        try:
            verifier.verify(base64.b64decode(encoded), signed + request.body)
        except InvalidSignature:
            continue
        assert version == "v1a"
        found += 1
    return found


@transactional
def test_v1a_verifies_with_the_public_keys_through_a_rotation(api, endpoint, rotate, deliver):
    path = f"/webhooks/{endpoint['id']}"
    old = api.patch(path, {"ed25519": True}).json()["public_key"]
    assert v1a_by(old, deliver()) == 1

    new = rotate().json()["public_key"]
    assert new != old
    assert api.get(path).json()["public_key"] == new
    request = deliver()
    assert (v1a_by(old, request), v1a_by(new, request)) == (1, 1)
    with clock_ahead(OVERLAP + timedelta(seconds=1)):
        request = deliver()
        assert (v1a_by(old, request), v1a_by(new, request)) == (0, 1)

    api.patch(path, {"ed25519": False})
    assert "v1a," not in deliver().header("webhook-signature")


# --- The API --------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_rotation_returns_the_new_secret_once(api, endpoint, rotate):
    answer = rotate()
    body = answer.json()
    assert answer.status_code == 200
    assert answer["Cache-Control"] == "no-store"
    assert body == {
        "object": "webhook",
        "id": endpoint["id"],
        "signing_secret": stored().newest.secret,
        "public_key": None,
        "previous_secret_expires_at": iso(datetime.fromtimestamp(stored().keys[1].until, UTC)),
    }
    assert body["signing_secret"] != endpoint["signing_secret"]
    left = datetime.fromisoformat(body["previous_secret_expires_at"]) - datetime.now(UTC)
    assert timedelta(hours=23, minutes=59) < left <= timedelta(hours=24)
    shown = api.get(f"/webhooks/{endpoint['id']}").content.decode()
    assert "secret" not in shown
    assert "whs" not in shown


@pytest.mark.django_db
def test_an_idempotency_key_rotates_once(endpoint, rotate):
    first, second = rotate(Idempotency_Key="k1"), rotate(Idempotency_Key="k1")
    assert first.json() == second.json()
    assert second["Cache-Control"] == "no-store"
    assert len(stored().keys) == 2
    rotate(Idempotency_Key="k2")
    assert len(stored().keys) == 3


@pytest.mark.django_db
def test_an_idempotency_key_is_scoped_to_one_endpoint(api, endpoint, rotate):
    other = api.post("/webhooks", {"endpoint": endpoint["endpoint"], "events": ["*"]}).json()
    first = rotate(Idempotency_Key="k1").json()
    path = f"/webhooks/{other['id']}/signing-secret/rotate"
    second = api.post(path, headers={"Idempotency-Key": "k1"}).json()
    assert (first["id"], second["id"]) == (endpoint["id"], other["id"])


@pytest.mark.django_db
def test_strangers_cannot_rotate_a_secret(stranger, endpoint):
    answer = stranger.post(f"/webhooks/{endpoint['id']}/signing-secret/rotate")
    assert (answer.status_code, answer.json()["name"]) == (404, "not_found")
    assert len(stored().keys) == 1


@pytest.mark.django_db
def test_rotation_is_refused_at_the_maximum_until_a_secret_expires(endpoint, rotate):
    with time_machine.travel(NOW, tick=False) as clock:
        secrets = [endpoint["signing_secret"]]
        for _ in range(MAX_KEYS - 1):
            secrets.append(rotate().json()["signing_secret"])
            clock.shift(timedelta(hours=1))
        answer = rotate()
        assert (answer.status_code, answer.json()["name"]) == (409, "too_many_signing_secrets")
        assert "2026-05-11T12:00:00.000Z" in answer.json()["message"]
        assert answer.json()["details"] == {"possible_from": "2026-05-11T12:00:00.000Z"}
        assert [key.secret for key in stored().keys] == secrets[::-1]

        clock.move_to(NOW + OVERLAP)
        secrets.append(rotate().json()["signing_secret"])
        assert [key.secret for key in stored().keys] == secrets[:0:-1]


# --- Concurrency ----------------------------------------------------------------------


@pytest.fixture
def row(endpoint_at):
    return endpoint_at("https://hooks.example.com/")


@transactional
def test_two_concurrent_rotations_are_both_kept(row):
    with waiting_for_our_lock(lambda: services.rotate_secret(row)):
        _, ours = services.rotate_secret(row)
    secrets = [key.secret for key in stored().keys]
    assert len(secrets) == 3
    assert secrets[1:] == [ours.newest.secret, row.signing_secret]


@transactional
def test_a_change_that_waits_for_a_rotation_does_not_undo_it(row):
    changes = {"description": "CRM", "ed25519": True}
    with waiting_for_our_lock(lambda: services.update_endpoint(row, changes)):
        _, ours = services.rotate_secret(row)
    assert Endpoint.objects.get().description == "CRM"
    assert [key.secret for key in stored().keys] == [ours.newest.secret, row.signing_secret]
    assert stored().newest.public_key == Endpoint.objects.get().public_key != ""


@transactional
def test_a_rotation_that_waits_for_a_change_keeps_it(row):
    with waiting_for_our_lock(lambda: services.rotate_secret(row)):
        services.update_endpoint(row, {"url": "https://new.example.com/", "ed25519": True})
    kept = Endpoint.objects.get()
    assert kept.url == "https://new.example.com/"
    assert kept.public_key == stored().newest.public_key != ""
    assert [bool(key.private_key) for key in stored().keys] == [True, True]


# --- Properties of keyrings -----------------------------------------------------------

KEYS = st.builds(
    lambda until, v1a: Key(Key.new().secret, Key.new(ed25519=v1a).private_key, until),
    st.integers(0, 2**40),
    st.booleans(),
)


@given(st.builds(Key.new, ed25519=st.booleans()), st.lists(KEYS, max_size=5))
def test_a_stored_keyring_round_trips(newest, older):
    keyring = Keyring((newest, *older))
    token = keyring.encrypted()
    assert decrypt_keyring(token) == keyring
    assert newest.secret not in token


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["rotate", "v1a on", "v1a off"]),
        st.integers(0, 30 * 3600).map(lambda seconds: timedelta(seconds=seconds)),
    ),
    max_size=15,
)


@given(STEPS)
def test_keys_sign_until_they_expire_and_the_newest_always_does(steps):
    keyring, now = Keyring.new(), NOW
    retired = {}  # secrets, and when they were replaced
    for step, wait in steps:
        now += wait
        previous = keyring.newest
        if step == "rotate" and keyring.rotatable_from(now) == now:
            keyring, retired[previous.secret] = keyring.rotated(now), now
        elif step == "v1a on":
            keyring = keyring.with_ed25519()
        elif step == "v1a off":
            keyring = keyring.without_ed25519()
            assert not any(key.private_key for key in keyring.keys)
        if step != "rotate":
            assert keyring.newest.secret == previous.secret
            assert bool(keyring.newest.public_key) == (step == "v1a on")
        if step == "v1a on" and previous.private_key:
            assert keyring.newest == previous
        keyring = decrypt_keyring(keyring.encrypted())

        signing = [key.secret for key in keyring.signing_at(int(now.timestamp()))]
        expected = [secret for secret, at in retired.items() if now < at + OVERLAP]
        assert signing == [keyring.newest.secret, *reversed(expected)]
        assert len(keyring.keys) <= MAX_KEYS


@given(STEPS)
def test_a_rotation_is_possible_from_the_reported_time(steps):
    keyring, now = Keyring.new(), NOW
    for _, wait in steps:
        now += wait / 10
        possible = keyring.rotatable_from(now)
        if possible > now:
            just_before = possible - timedelta(seconds=1)
            assert keyring.rotatable_from(max(just_before, now)) == possible
            assert keyring.rotatable_from(possible) == possible
            now = possible
        keyring = keyring.rotated(now)
        assert len(keyring.signing_at(int(now.timestamp()))) <= MAX_KEYS
