"""Links that nobody but us can have made."""

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


def signed(said):
    return SIGN[type(said)](said)


@pytest.fixture(scope="module", autouse=True)
def _keys():
    with override_settings(TRACKING_KEYS=["new", "old"]):
        yield


@given(anything)
def test_what_is_signed_is_read_again(said):
    token = signed(said)
    assert READ[type(said)](token) == said
    assert set(token) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


@given(anything, st.data())
def test_no_character_of_a_token_can_be_changed(said, data):
    token = signed(said)
    place = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.characters(codec="ascii").filter(lambda each: each != token[place]))
    with pytest.raises(BadToken):
        READ[type(said)](token[:place] + other + token[place + 1 :])


@given(anything, st.data())
def test_a_token_can_be_neither_cut_nor_lengthened(said, data):
    token = signed(said)
    cut = data.draw(st.integers(0, len(token) - 1))
    more = data.draw(st.text(min_size=1, max_size=5))
    for other in (token[:cut], token + more, token + "=", more + token):
        with pytest.raises(BadToken):
            READ[type(said)](other)


@given(anything)
def test_a_token_is_good_for_one_purpose(said):
    for kind, read in READ.items():
        if kind is not type(said):
            with pytest.raises(BadToken):
                read(signed(said))


@given(st.text() | st.binary().map(lambda octets: octets.decode("latin-1")))
def test_what_is_no_token_is_refused(text):
    for read in READ.values():
        with pytest.raises(BadToken):
            read(text)


@given(said=anything)
def test_old_keys_open_and_the_newest_signs(said):
    with override_settings(TRACKING_KEYS=["old"]):
        old = signed(said)
    assert READ[type(said)](old) == said
    assert signed(said) != old
    for keys in (["new"], ["older"], ["new", "older"]):
        with override_settings(TRACKING_KEYS=keys), pytest.raises(BadToken):
            READ[type(said)](old)


def test_a_link_is_not_much_longer_than_its_target():
    assert len(signed(Click(uuid7(), uuid7(), 1, 1, ""))) == 75
