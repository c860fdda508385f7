"""Signed tokens: only what we signed for a purpose is valid for it, under any of our keys."""

from base64 import urlsafe_b64decode, urlsafe_b64encode

import pytest
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st

from core.security.tokens import BadToken, Purpose

BLOB, REPLY = Purpose("blob"), Purpose("reply")
payloads = st.binary(max_size=200)
secrets = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
key_lists = st.lists(secrets, min_size=1, max_size=4, unique=True)


@pytest.fixture(scope="module", autouse=True)
def _keys():
    with override_settings(TRACKING_KEYS=["new", "old"]):
        yield


def signed_under(keys, payload):
    with override_settings(TRACKING_KEYS=keys):
        return BLOB.sign(payload)


@given(payloads)
def test_a_signed_payload_can_be_read(payload):
    token = BLOB.sign(payload)
    assert BLOB.read(token) == payload
    assert set(token) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


@given(payloads)
def test_equal_payloads_have_equal_tokens(payload):
    assert BLOB.sign(payload) == Purpose("blob").sign(payload)


@given(payloads, st.data())
def test_changing_any_character_invalidates_a_token(payload, data):
    token = BLOB.sign(payload)
    index = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.characters(codec="ascii").filter(lambda each: each != token[index]))
    with pytest.raises(BadToken):
        BLOB.read(token[:index] + other + token[index + 1 :])


@given(payloads, st.data())
def test_truncating_or_extending_a_token_invalidates_it(payload, data):
    token = BLOB.sign(payload)
    cut = data.draw(st.integers(0, len(token) - 1))
    more = data.draw(st.text(min_size=1, max_size=5))
    for other in (token[:cut], token + more, token + "=", more + token):
        with pytest.raises(BadToken):
            BLOB.read(other)


@given(payloads, st.text(), st.text())
def test_a_token_is_valid_for_one_purpose(payload, one, other):
    token = Purpose(one).sign(payload)
    assert Purpose(one).read(token) == payload
    if one != other:
        with pytest.raises(BadToken):
            Purpose(other).read(token)


@given(payloads, payloads)
def test_a_mac_is_valid_for_one_payload(payload, other):
    key_id_and_mac = urlsafe_b64decode(BLOB.sign(payload) + "==")[:20]
    spliced = urlsafe_b64encode(key_id_and_mac + other).rstrip(b"=").decode()
    if other == payload:
        assert BLOB.read(spliced) == payload
    else:
        with pytest.raises(BadToken):
            BLOB.read(spliced)


@given(st.text() | st.binary().map(lambda data: data.decode("latin-1")))
def test_other_text_is_refused(text):
    for purpose in (BLOB, REPLY):
        with pytest.raises(BadToken):
            purpose.read(text)


@given(key_lists, payloads, st.data())
def test_the_first_key_signs_and_every_key_verifies(keys, payload, data):
    assert signed_under(keys, payload) == signed_under(keys[:1], payload)
    key = data.draw(st.sampled_from(keys))
    with override_settings(TRACKING_KEYS=keys):
        assert BLOB.read(signed_under([key], payload)) == payload


@given(key_lists, secrets, payloads)
def test_a_token_is_invalid_once_its_key_is_removed(keys, removed, payload):
    token = signed_under([removed, *keys], payload)
    others = [key + removed for key in keys]
    with override_settings(TRACKING_KEYS=others), pytest.raises(BadToken):
        BLOB.read(token)


def test_tokens_of_earlier_releases_stay_valid():
    """Tokens are in mail that was sent long ago, so their bytes never change."""
    assert BLOB.sign(b"payload") == "F1I0ZXpFeaGF3rLHnOU09VEcDqFwYXlsb2Fk"
    assert BLOB.read("--OqApN-MGLf4IL5gxBjP_t0UFNwYXlsb2Fk") == b"payload"  # under the key "old"
