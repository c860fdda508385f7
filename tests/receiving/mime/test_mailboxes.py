"""Address lists in the fields of received mail."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiving.mime.mailboxes import MAX_MAILBOXES, Mailbox, parse

LISTS = {
    "ann@example.org": [("", "ann@example.org")],
    "<ann@example.org>": [("", "ann@example.org")],
    "Ann <ann@example.org>": [("Ann", "ann@example.org")],
    "Ann Lee<ann@example.org>": [("Ann Lee", "ann@example.org")],
    '"Lee, Ann" <ann@example.org>': [("Lee, Ann", "ann@example.org")],
    "Lee, Ann <ann@example.org>": [("Lee, Ann", "ann@example.org")],
    "bob@example.org, Ann <ann@example.org>": [
        ("", "bob@example.org"),
        ("Ann", "ann@example.org"),
    ],
    "a@example.org;b@example.org": [("", "a@example.org"), ("", "b@example.org")],
    "a@example.org,,b@example.org,": [("", "a@example.org"), ("", "b@example.org")],
    "Friends: a@example.org, Bob <b@example.org>;, c@example.org": [
        ("", "a@example.org"),
        ("Bob", "b@example.org"),
        ("", "c@example.org"),
    ],
    "undisclosed-recipients:;": [],
    "": [],
    "ann@example.org (Ann Lee)": [("Ann Lee", "ann@example.org")],
    "ann@example.org (Ann (the elder) Lee)": [("Ann (the elder) Lee", "ann@example.org")],
    "Ann (work) <ann@example.org>": [("Ann", "ann@example.org")],
    r'"Ann \"A\" Lee" <ann@example.org>': [('Ann "A" Lee', "ann@example.org")],
    "=?utf-8?q?J=C3=B6rg?= =?utf-8?q?_M?= <j@example.org>": [("Jörg M", "j@example.org")],
    '"=?utf-8?q?J=C3=B6rg?=" <j@example.org>': [("Jörg", "j@example.org")],
    "=?utf-8?q?Lee=2C_Ann?= <ann@example.org>": [("Lee, Ann", "ann@example.org")],
    "=?utf-8?q?Boss_=3Cboss=40example=2Ecom=3E?= <eve@example.org>": [
        ("Boss <boss@example.com>", "eve@example.org")
    ],
    '"boss@example.com" <eve@example.org>': [("boss@example.com", "eve@example.org")],
    "<@relay.example,@other.example:ann@example.org>": [("", "ann@example.org")],
    '"ann lee"@example.org': [("", '"ann lee"@example.org')],
    "Jörg <jörg@bücher.example>": [("Jörg", "jörg@bücher.example")],
    "ann@ example.org": [("", "ann@example.org")],
    "mailto:ann@example.org": [("", "ann@example.org")],
    "Ann <ann@example.org": [("Ann", "ann@example.org")],
    '"Ann <ann@example.org>': [("Ann", "ann@example.org")],
    "Mailer-Daemon": [("Mailer-Daemon", "")],
    "'Ann' <ann@example.org>": [("Ann", "ann@example.org")],
}


@pytest.mark.parametrize(("text", "meant"), LISTS.items(), ids=LISTS.keys())
def test_mailboxes_are_read(text, meant):
    assert parse(text) == meant


@pytest.mark.parametrize(
    ("mailbox", "text"),
    [
        (Mailbox("", "a@example.org"), "a@example.org"),
        (Mailbox("Ann Lee", "a@example.org"), "Ann Lee <a@example.org>"),
        (Mailbox("Lee, Ann", "a@example.org"), '"Lee, Ann" <a@example.org>'),
        (Mailbox('Ann "A" Lee', "a@example.org"), r'"Ann \"A\" Lee" <a@example.org>'),
        (Mailbox("Mailer-Daemon", ""), "Mailer-Daemon"),
    ],
)
def test_mailboxes_are_written_so_that_they_can_be_read(mailbox, text):
    assert str(mailbox) == text
    assert parse(text) == [mailbox]


def test_at_most_two_thousand_are_read():
    assert len(parse("a@b.c, " * 3_000)) == MAX_MAILBOXES


@given(st.text(alphabet=st.sampled_from('ab@,;:<>()"\\ =?.\n\u00f6')))
def test_any_list_can_be_parsed(text):
    for mailbox in parse(text):
        assert mailbox.name or mailbox.address


NAMES = st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=50).filter(
    lambda name: "=?" not in name and not name.startswith("'") and not name.endswith("'")
)


@given(st.lists(NAMES, max_size=5))
def test_what_is_written_is_read_again(names):
    mailboxes = [Mailbox(name, f"{number}@example.org") for number, name in enumerate(names)]
    assert parse(", ".join(map(str, mailboxes))) == mailboxes
