"""The tree of parts: boundaries as they should be, and as they come."""

import time

import pytest

from receiving.mime import structure
from receiving.mime.message import read
from tests.receiving.mime.messages import message, multipart, nested, part


def contents(octets):
    """The raw contents of the leaves, by their types."""
    whole = structure.parse(octets)
    return [
        (leaf.content_type.value, bytes(whole.octets[leaf.start : leaf.end]))
        for leaf in whole.root.walk()
        if not leaf.is_multipart
    ]


def test_parts_are_told_apart_without_preamble_and_epilogue():
    octets = multipart(
        "mixed",
        part("one"),
        nested("alternative", part("two"), part("<p>three", "text/html")),
        part("four", "text/csv"),
        preamble="This is a message in MIME format.\n",
        epilogue="The end\n",
    )
    assert contents(octets) == [
        ("text/plain", b"one"),
        ("text/plain", b"two"),
        ("text/html", b"<p>three"),
        ("text/csv", b"four"),
    ]
    assert structure.parse(octets).defects == ()


def test_the_line_break_before_a_delimiter_is_not_content():
    assert contents(multipart("mixed", part("a\n"), part(""))) == [
        ("text/plain", b"a\r\n"),
        ("text/plain", b""),
    ]


@pytest.mark.parametrize("line_end", [b"\r\n", b"\n", b"\r"], ids=["CRLF", "LF", "CR"])
def test_lines_end_in_any_of_three_ways(line_end):
    octets = multipart("mixed", part("one"), part("two")).replace(b"\r\n", line_end)
    assert contents(octets) == [("text/plain", b"one"), ("text/plain", b"two")]


def test_blank_lines_and_the_line_of_an_mbox_may_come_first():
    octets = b"\r\n\r\nFrom ann@example.org Mon Feb  3 10:00:00 2025\r\nSubject: Hi\r\n\r\nText"
    assert read(octets).subject == "Hi"
    assert contents(octets) == [("text/plain", b"Text")]


def test_a_byte_order_mark_may_come_first():
    assert read(b"\xef\xbb\xbfSubject: Hi\r\n\r\n").subject == "Hi"


@pytest.mark.parametrize(
    "octets",
    [b"", b"\r\n\r\n", b"Hello there", b" folded\r\n", b"\x00\xff\xfe", b"http//x\n\nA: b"],
)
def test_without_a_header_there_is_no_message(octets):
    with pytest.raises(structure.NoHeader):
        structure.parse(octets)


def test_a_part_without_header_is_text():
    octets = multipart("mixed", "No header\nat all", part("<p>two", "text/html"))
    assert contents(octets) == [("text/plain", b"No header\r\nat all"), ("text/html", b"<p>two")]


def test_a_part_ends_at_the_next_delimiter_even_in_its_header():
    octets = multipart("mixed", "X-Empty: 1", part("two"))
    assert contents(octets) == [("text/plain", b""), ("text/plain", b"two")]


def test_a_missing_final_delimiter_ends_nothing_early():
    octets = multipart("mixed", part("one"), part("two")).removesuffix(b"--b1--\r\n")
    assert contents(octets) == [("text/plain", b"one"), ("text/plain", b"two\r\n")]
    assert structure.parse(octets).defects == ("missing_final_boundary",)


def test_the_delimiter_of_an_outer_multipart_ends_the_inner_ones():
    inner = nested("alternative", part("two")).replace("--b2--\n", "")
    octets = multipart("mixed", part("one"), inner, part("three"))
    assert [content for _, content in contents(octets)] == [b"one", b"two\r\n", b"three"]


def test_delimiters_may_have_trailing_blanks():
    octets = multipart("mixed", part("one"), part("two")).replace(b"--b1\r\n", b"--b1 \t\r\n")
    assert contents(octets) == [("text/plain", b"one"), ("text/plain", b"two")]


def test_a_line_that_only_begins_like_a_delimiter_is_content():
    octets = multipart("mixed", part("--b12\n--b\n--\n-- b1"))
    assert contents(octets) == [("text/plain", b"--b12\r\n--b\r\n--\r\n-- b1")]


def test_a_boundary_may_end_with_dashes():
    octets = multipart("mixed", part("one"), part("two"), boundary="x--")
    assert contents(octets) == [("text/plain", b"one"), ("text/plain", b"two")]


@pytest.mark.parametrize("parameter", ["", "; boundary=", '; boundary="other"', "; charset=utf-8"])
def test_a_missing_or_wrong_boundary_is_found_in_the_text(parameter):
    octets = multipart("mixed", part("one"), part("<p>two", "text/html"))
    octets = octets.replace(b'; boundary="b1"', parameter.encode())
    assert contents(octets) == [("text/plain", b"one"), ("text/html", b"<p>two")]
    assert structure.parse(octets).defects == ("wrong_boundary",)


def test_a_multipart_without_parts_is_text():
    octets = message("Just a text\n", content_type='multipart/mixed; boundary="b1"')
    assert contents(octets) == [("text/plain", b"Just a text\r\n")]
    assert structure.parse(octets).defects == ("missing_final_boundary", "missing_boundary")


def test_a_nested_multipart_may_repeat_the_boundary():
    inner = nested("alternative", part("two"), part("<p>", "text/html"), boundary="b1")
    octets = multipart("mixed", part("one"), inner, part("three"))
    assert [content for _, content in contents(octets)] == [b"one", b"two", b"<p>", b"three"]


def test_an_attached_message_is_one_part():
    attached = "Content-Type: multipart/mixed; boundary=b9\n\n--b9\n\nx\n--b9--\n"
    octets = multipart("mixed", part("one"), part(attached, "message/rfc822"))
    assert [kind for kind, _ in contents(octets)] == ["text/plain", "message/rfc822"]


def test_parts_of_a_digest_are_messages():
    octets = multipart("digest", "\nSubject: one\n\nText", "\nSubject: two\n\nText")
    assert [kind for kind, _ in contents(octets)] == ["message/rfc822"] * 2


def test_fifty_levels_are_read_and_deeper_ones_are_content():
    levels = 60
    octets = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (level, level)
        for level in range(levels)
    )
    whole = structure.parse(octets + b"\nText")
    assert len(list(whole.root.walk())) == structure.MAX_DEPTH + 1
    assert "nested_too_deep" in whole.defects


def test_a_thousand_parts_are_read():
    whole = structure.parse(multipart("mixed", *["\nx"] * 1_200))
    assert len(list(whole.root.walk())) == structure.MAX_PARTS
    assert whole.defects == ("too_many_parts",)


def test_two_thousand_fields_are_read_and_the_body_begins_after_all():
    whole = structure.parse(b"X: y\r\n" * 3_000 + b"\r\nText")
    assert len(whole.root.fields) == 2_000
    assert bytes(whole.octets[whole.root.start :]) == b"Text"
    assert whole.defects == ("header_truncated",)


MEGABYTE = 1_000_000
HOSTILE = {
    "headers": b"X: y\n" * (MEGABYTE // 5) + b"\nText",
    "one header": b"X: " + b"y" * MEGABYTE + b"\n\nText",
    "folded header": b"X: y\n" + b" y\n" * (MEGABYTE // 3) + b"\nText",
    "nested": b"A: b\n"
    + b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (level, level)
        for level in range(18_000)
    ),
    "one boundary": b"A: b\n" + b"Content-Type: multipart/mixed; boundary=b\n\n--b\n" * 20_000,
    "no boundary": b"A: b\n" + b"Content-Type: multipart/mixed\n\n--b\n" * 25_000,
    "siblings": multipart("mixed", *["\nx"] * 10_000),
    "many siblings": b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\nx\n" * 140_000,
    "dashes": b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--\n" * 330_000,
    "a line of dashes": b"Content-Type: multipart/mixed; boundary=b\n\n" + b"-" * MEGABYTE,
    "recipients": b"To: " + b"a@example.org, " * 7_000 + b"\n\nText",
    "commas": b"To: " + b"," * 250_000 + b"\n\nText",
    "comments": b"To: " + b"(" * 250_000 + b"\n\nText",
    "quotes": b'To: "' + b'\\"' * 125_000 + b"\n\nText",
    "words": b"Subject: " + b"=?utf-8?q?a?= " * 18_000 + b"\n\nText",
    "half words": b"Subject: " + b"=?utf-8?q?" * 25_000 + b"\n\nText",
    "parameters": b"Content-Type: text/plain" + b"; a*0=b" * 35_000 + b"\n\nText",
    "references": b"References: " + b"<a@b>" * 50_000 + b"\n\nText",
    "flowed": b"Content-Type: text/plain; format=flowed\n\n" + b"a \n" * (MEGABYTE // 3),
    "quoted-printable": b"Content-Transfer-Encoding: quoted-printable\n\n" + b" " * MEGABYTE,
    "uuencode": b"A: b\n\n" + b"begin 644 a\n" * (MEGABYTE // 12),
    "unknown charset": b"Content-Type: text/plain; charset=x\n\n" + bytes(range(128, 256)) * 7_800,
    "style": b"Content-Type: text/html\n\n" + b"<style" * 160_000,
    "braces": b"Content-Type: text/html\n\n<style>" + b"a{" * 500_000,
    "elements": b"Content-Type: text/html\n\n" + b"<p style='color:red'>" * 47_000,
}


@pytest.mark.parametrize("octets", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_messages_take_linear_time(octets):
    """Far below what any quadratic step would take; each is under a second on one core."""
    begun = time.process_time()
    found = read(octets)
    _ = found.sender, found.mailboxes("to"), found.references, found.subject
    assert time.process_time() - begun < 10
