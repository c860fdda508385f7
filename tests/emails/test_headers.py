"""Header fields parse back unchanged, and no value can inject another header."""

from email import message_from_bytes
from email.header import decode_header, make_header
from email.headerregistry import AddressHeader
from email.policy import default
from email.utils import getaddresses

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from emails.content.addresses import CONTROL, Mailbox, parse
from emails.content.headers import address_field, raw_field, text_field

ENCODED_BREAK = "=?utf-8?q?a=0D=0ABcc:_evil@example.net?="


def one_line(text):
    return not CONTROL.search(text.replace("\t", " "))


LINES = st.text(st.characters(codec="utf-8"), max_size=998).filter(one_line)
NAMES = st.text(st.characters(codec="utf-8"), max_size=80).filter(lambda s: not CONTROL.search(s))


def read(field):
    """Name and raw value of each field that a parser reads, unfolded."""
    message = message_from_bytes(f"{field}\r\nX-Next: next\r\n\r\nbody".encode("ascii"))
    assert message.get_payload() == "body"
    fields = [(name, value.replace("\r\n", "")) for name, value in message.items()]
    assert fields.pop() == ("X-Next", "next")
    return fields


def decoded(field):
    ((_, value),) = read(field)
    return str(make_header(decode_header(value)))


@given(LINES)
@example(ENCODED_BREAK)
@example("=?utf-8?b?" + "x" * 90 + "?=")
@example(" leading and trailing ")
@example("two  blanks\tand a tab")
@example("w" * 998)
@example("Grüße 🎉 " * 80)
def test_a_subject_parses_back(subject):
    field = text_field("Subject", subject)

    assert decoded(field) == subject
    assert max(map(len, field.split("\r\n"))) <= 998


@given(st.from_regex(r"[!-9;-~]{1,200}", fullmatch=True), LINES.map(lambda s: s * 3))
def test_no_header_value_injects_another_header(name, value):
    ((parsed, _),) = read(raw_field(name, value))

    assert parsed == name


@given(st.lists(NAMES, min_size=1, max_size=5))
@example([ENCODED_BREAK, "plain"])
@example(['Müller, Jürgen "J" <x@y>', "a\\", '"', "(comment)", "="])
def test_display_names_parse_back(names):
    boxes = [Mailbox(name.strip(), f"box{i}@example.com") for i, name in enumerate(names)]
    field = address_field("To", boxes)

    ((_, value),) = read(field)
    parsed = [(str(make_header(decode_header(name))), at) for name, at in getaddresses([value])]
    assert parsed == [(box.name, box.address) for box in boxes]


@pytest.mark.parametrize(
    "name",
    [
        "Ada",
        "Ada Lovelace",
        "Lovelace, Ada",
        'Ada "the" Countess',
        "back\\slash",
        "Jürgen Müller",
        "Müller, Jürgen",
        "山田 太郎",
        "🎉 Party",
        "J. R. (Bob) Dobbs; Esq: <x@y>",
        "x" * 320,
    ],
)
def test_pythons_address_parser_reads_the_same_display_name(name):
    field = address_field("From", [Mailbox(name, "ada@example.com")])

    message = message_from_bytes(f"{field}\r\n\r\n".encode("ascii"), policy=default)

    assert isinstance(message["From"], AddressHeader)
    (address,) = message["From"].addresses
    assert (address.display_name, address.addr_spec) == (name, "ada@example.com")


def test_long_ascii_headers_are_not_encoded():
    link = "<https://example.com/" + "u" * 300 + "?a==?b>, <mailto:leave@example.com>"

    field = raw_field("List-Unsubscribe", link)

    assert read(field) == [("List-Unsubscribe", link)]
    assert "=?utf-8" not in field


def test_references_are_folded_only_between_ids():
    ids = " ".join(f"<{number}.abcdefghijklmnopqrstuvwxyz@mail.example.com>" for number in range(9))

    field = raw_field("References", ids)

    assert read(field) == [("References", ids)]
    assert max(map(len, field.split("\r\n"))) <= 78


def test_a_word_too_long_for_any_line_is_encoded():
    field = raw_field("X-Long", "y" * 3000)

    assert decoded(field) == "y" * 3000
    assert max(map(len, field.split("\r\n"))) <= 998


@pytest.mark.parametrize("name", ["Subject", "X-" + "n" * 40])
def test_lines_with_encoded_words_have_at_most_76_characters(name):
    field = text_field(name, "ü" * 500)

    assert max(map(len, field.split("\r\n"))) <= 76


@given(NAMES)
@example("=?utf-8?q?a?=")
@example('"é"')
@example("\\")
@example("\u3000wide\u3000")
def test_a_mailbox_parses_back_from_its_own_text(name):
    try:
        box = parse(f"{Mailbox(name, 'Ada@example.com')}")
    except ValueError:
        return  # an encoded word inside another, or too long

    assert parse(str(box)) == box
    assert box.address == "Ada@example.com"


@given(NAMES.filter(lambda name: "=?" not in name))
def test_every_quoted_display_name_is_kept(name):
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')

    assert parse(f'"{escaped}" <ada@example.com>').name == name.strip()
