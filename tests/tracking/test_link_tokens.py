"""Signing and verifying the tokens in links."""

from uuid import UUID

import pytest
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st

from core.db.ids import uuid7
from tracking import tokens
from tracking.tokens import BadToken, Click, Open, Unsubscribe

ids = st.uuids().filter(lambda each: each.int)
numbers = st.integers(0, tokens.MAX_LINKS)
opens = st.builds(Open, ids, st.none() | ids)
clicks = st.builds(
    Click, ids, st.none() | ids, numbers, numbers, st.text(st.characters(codec="utf-8"))
)
unsubscribes = st.builds(Unsubscribe, ids, ids, st.emails())

SIGN = {
    Open: tokens.sign_open,
    Click: tokens.sign_click,
    Unsubscribe: tokens.sign_unsubscribe,
}
READ = {
    Open: tokens.read_open,
    Click: tokens.read_click,
    Unsubscribe: tokens.read_unsubscribe,
}
anything = opens | clicks | unsubscribes


def sign(content):
    return SIGN[type(content)](content)


@pytest.fixture(scope="module", autouse=True)
def _keys():
    with override_settings(TRACKING_KEYS=["new", "old"]):
        yield


@given(anything)
def test_a_signed_token_can_be_read(content):
    token = sign(content)
    assert READ[type(content)](token) == content
    assert set(token) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


@given(anything, st.data())
def test_changing_any_character_invalidates_a_token(content, data):
    token = sign(content)
    index = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.characters(codec="ascii").filter(lambda each: each != token[index]))
    with pytest.raises(BadToken):
        READ[type(content)](token[:index] + other + token[index + 1 :])


@given(anything, st.data())
def test_truncating_or_extending_a_token_invalidates_it(content, data):
    token = sign(content)
    cut = data.draw(st.integers(0, len(token) - 1))
    more = data.draw(st.text(min_size=1, max_size=5))
    for other in (token[:cut], token + more, token + "=", more + token):
        with pytest.raises(BadToken):
            READ[type(content)](other)


@given(anything)
def test_a_token_is_valid_for_one_purpose(content):
    for kind, read in READ.items():
        if kind is not type(content):
            with pytest.raises(BadToken):
                read(sign(content))


@given(st.text() | st.binary().map(lambda data: data.decode("latin-1")))
def test_other_text_is_refused(text):
    for read in READ.values():
        with pytest.raises(BadToken):
            read(text)


@given(content=anything)
def test_every_key_verifies_and_the_newest_signs(content):
    with override_settings(TRACKING_KEYS=["old"]):
        old = sign(content)
    assert READ[type(content)](old) == content
    assert sign(content) != old
    for keys in (["new"], ["older"], ["new", "older"]):
        with override_settings(TRACKING_KEYS=keys), pytest.raises(BadToken):
            READ[type(content)](old)


def test_a_link_is_not_much_longer_than_its_target():
    assert len(sign(Click(uuid7(), uuid7(), 1, 1, ""))) == 75


def test_links_in_mail_of_earlier_releases_stay_valid():
    """Sent mail can't be changed, so neither can the bytes of its tokens."""
    first = UUID("01890a5d-ac96-774b-bcce-b302099a8057")
    second = UUID("01890a5d-ac96-774b-bcce-b302099a8058")
    click = Click(first, second, 2, 7, "https://example.com/?q=1")
    unsubscribe = Unsubscribe(first, second, "ann@example.com")
    assert [sign(Open(first, None)), sign(click), sign(unsubscribe)] == [
        "X_EF9Dny5XkZYYFHuDfJjJxBI3gBiQpdrJZ3S7zOswIJmoBXAAAAAAAAAAAAAAAAAAAAAA",
        "AOHoJbK7TVIcwkOypaLasTMttPwBiQpdrJZ3S7zOswIJmoBXAYkKXayWd0u8zrMCCZqAWAACAAdodHRwczovL2V4"
        "YW1wbGUuY29tLz9xPTE",
        "bi4f-1xxubH0A-RcfKNbcTfctgcBiQpdrJZ3S7zOswIJmoBXAYkKXayWd0u8zrMCCZqAWGFubkBleGFtcGxlLmNv"
        "bQ",
    ]
