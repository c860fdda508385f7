"""Messages as a mail client would show them."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiving.mime.message import read
from receiving.mime.structure import NoHeader
from tests.receiving.mime.messages import attachments, lines, message, multipart, nested, part


def bodies(octets):
    found = read(octets)
    return found.text, found.html, found.made_from


def test_a_text_is_shown_and_html_made_of_it():
    assert bodies(message("Hi <Bob>\n")) == (
        "Hi <Bob>\n",
        '<div style="white-space: pre-wrap">Hi &lt;Bob&gt;\n</div>',
        "text",
    )


def test_html_is_shown_and_a_text_made_of_it():
    octets = message("<p>Hi</p><p>Bob</p>", content_type="text/html")
    assert bodies(octets) == ("Hi\n\nBob", "<p>Hi</p><p>Bob</p>", "html")


def test_of_alternatives_each_body_takes_its_own():
    octets = multipart("alternative", part("text"), part("<p>html", "text/html"))
    assert bodies(octets) == ("text", "<p>html", "")


def test_an_alternative_of_one_type_is_for_both_bodies():
    text, html, made_from = bodies(multipart("alternative", part("only")))
    assert (text, made_from) == ("only", "text")
    assert "only" in html


def test_texts_around_a_picture_are_both_shown():
    octets = multipart(
        "mixed",
        part("before"),
        part("R0lG", "image/gif", Content_Transfer_Encoding="base64"),
        part("after"),
    )
    assert read(octets).text == "before\nafter"
    assert attachments(octets) == [("", b"GIF")]


def test_the_footer_of_a_list_is_in_both_bodies():
    body = nested("alternative", part("text"), part("<p>html", "text/html"))
    text, html, _ = bodies(multipart("mixed", body, part("footer")))
    assert text == "text\nfooter"
    assert html.startswith("<p>html")
    assert "footer" in html


def test_pictures_of_the_html_are_attachments_with_their_ids():
    octets = multipart(
        "related",
        nested("alternative", part("text"), part('<img src="cid:a@b">', "text/html")),
        part("R0lG", "image/gif", Content_ID="<a@b>", Content_Transfer_Encoding="base64"),
    )
    (picture,) = read(octets).attachments
    assert (picture.content_id, picture.disposition) == ("a@b", "")
    assert bodies(octets)[:2] == ("text", '<img src="cid:a@b">')


def test_a_text_file_is_an_attachment():
    notes = part("notes", "text/plain", Content_Disposition='attachment; filename="notes.txt"')
    octets = multipart("mixed", part("body"), notes, part("a,b", 'text/csv; name="t.csv"'))
    assert read(octets).text == "body"
    assert attachments(octets) == [("notes.txt", b"notes"), ("t.csv", b"a,b")]


def test_a_named_text_after_the_first_is_an_attachment():
    octets = multipart("mixed", part("body"), part("patch", 'text/plain; name="a.patch"'))
    assert (read(octets).text, attachments(octets)) == ("body", [("a.patch", b"patch")])


def test_a_message_may_be_nothing_but_an_attachment():
    octets = message("JVBERg==", content_type='application/pdf; name="a.pdf"').replace(
        b"\r\n\r\n", b"\r\nContent-Transfer-Encoding: base64\r\n\r\n", 1
    )
    assert bodies(octets) == ("", "", "")
    assert attachments(octets) == [("a.pdf", b"%PDF")]


def test_an_attached_message_is_a_file_by_its_subject():
    attached = "Subject: =?utf-8?q?J=C3=B6rg=27s_1/2_plan?=\n\nText"
    octets = multipart("mixed", part("see below"), part(attached, "message/rfc822"))
    assert attachments(octets) == [("Jörg's 1_2 plan.eml", lines(attached))]


def test_a_calendar_is_a_file():
    octets = multipart(
        "alternative", part("text"), part("BEGIN:VCALENDAR", "text/calendar; method=REQUEST")
    )
    assert (read(octets).text, attachments(octets)) == (
        "text",
        [("invite.ics", b"BEGIN:VCALENDAR")],
    )


def test_files_of_one_name_are_distinct():
    one = part("1", "application/x", Content_Disposition='attachment; filename="a.bin"')
    octets = multipart("mixed", part("text"), one, one.replace("1", "2"))
    assert attachments(octets) == [("a.bin", b"1"), ("a.bin", b"2")]


def test_a_uuencoded_block_is_a_file():
    octets = message("Here it is:\nbegin 644 hello.txt\n%2&5L;&\\ \n`\nend\nBye\n")
    assert read(octets).text == "Here it is:\nBye\n"
    assert attachments(octets) == [("hello.txt", b"Hello")]


@pytest.mark.parametrize(
    "text", ["begin 644 x\nnot encoded\n", "begin again\nend\n", "begin 644 x\n"]
)
def test_text_that_looks_like_a_uuencoded_block_stays(text):
    assert read(message(text)).text == text


NAMES = {
    "plan.pdf": "plan.pdf",
    "../../etc/passwd": "passwd",
    "C:\\\\Users\\\\ann\\\\plan.pdf": "plan.pdf",
    "pl\tan?.pdf": "pl_an_.pdf",
    "photo\u202egpj.exe": "photo_gpj.exe",
    ".bashrc": "bashrc",
    "con.txt": "_con.txt",
    "..": "",
    "ä" * 300 + ".pdf": "ä" * 125 + ".pdf",
}


@pytest.mark.parametrize(("sent", "safe"), NAMES.items())
def test_names_are_made_safe_and_kept_as_sent(sent, safe):
    file = part("x", "application/x", Content_Disposition=f'attachment; filename="{sent}"')
    (found,) = read(multipart("mixed", part("text"), file)).attachments
    assert (found.filename, found.sent_filename) == (safe, sent.replace("\\\\", "\\"))


def test_the_header_is_decoded_in_order():
    octets = message(headers="To: =?utf-8?q?J=C3=B6rg?=\n <j@example.org>\nX-A: 1\nX-A: 2\n")
    assert [(each.name, each.value) for each in read(octets).fields] == [
        ("From", "Ann <ann@example.org>"),
        ("Subject", "Hello"),
        ("To", "Jörg <j@example.org>"),
        ("X-A", "1"),
        ("X-A", "2"),
    ]


def test_recipients_of_repeated_fields_are_joined():
    found = read(message(headers="To: a@example.org\nTo: b@example.org, c@example.org\n"))
    assert [each.address for each in found.mailboxes("to")] == [
        f"{name}@example.org" for name in "abc"
    ]


def test_the_sender_is_the_first_of_from_or_that_of_sender():
    assert read(b"From: a@b.c, d@e.f\r\nSender: s@t.u\r\n\r\n").sender.address == "a@b.c"
    assert read(b"Sender: s@t.u\r\n\r\n").sender.address == "s@t.u"
    assert read(b"To: s@t.u\r\n\r\n").sender is None


@pytest.mark.parametrize(
    ("value", "ids"),
    [
        ("<a@b>", ["a@b"]),
        ("<a@b>\n <c@d>", ["a@b", "c@d"]),
        ("<a@b><c@d>", ["a@b", "c@d"]),
        ("< a@b >, <c@d>", ["a@b", "c@d"]),
        ("a@b c@d", ["a@b", "c@d"]),
        ('"Ann" <a@b> from Monday', ["a@b"]),
        (" ".join(f"<{number}@b>" for number in range(30)), [f"{n}@b" for n in range(10, 30)]),
        ("", []),
    ],
)
def test_ids_are_read(value, ids):
    assert read(message(headers=f"References: {value}\n")).references == ids


@pytest.mark.parametrize(
    ("value", "date"),
    [
        ("Mon, 3 Feb 2025 10:12:13 +0100", datetime(2025, 2, 3, 9, 12, 13, tzinfo=UTC)),
        ("3 Feb 2025 10:12 -0000", datetime(2025, 2, 3, 10, 12, tzinfo=UTC)),
        ("Mon, 3 Feb 2025 10:12:13 GMT (UTC)", datetime(2025, 2, 3, 10, 12, 13, tzinfo=UTC)),
        ("yesterday", None),
        ("Mon, 99 Feb 99999999 99:99:99 +9999", None),
        ("", None),
    ],
)
def test_dates_are_read(value, date):
    assert read(message(headers=f"Date: {value}\n")).date == date


DEFECTS = {
    "unknown_charset": message("x", content_type="text/plain; charset=no-such"),
    "unknown_transfer_encoding": message("x", headers="Content-Transfer-Encoding: rot13\n"),
    "nul_characters": message("a\0b"),
    "text_truncated": message(b"x" * (4 * 1024 * 1024 + 1)),
    "missing_header_separator": b"Subject: x\r\nNo field\r\n",
}


@pytest.mark.parametrize(("defect", "octets"), DEFECTS.items(), ids=DEFECTS.keys())
def test_defects_are_named_and_the_message_is_read(defect, octets):
    found = read(octets)
    assert found.defects == [defect]
    assert found.text
    assert "\0" not in found.text


@given(st.binary(max_size=2_000))
def test_any_octets_are_a_message_or_none(octets):
    try:
        found = read(octets)
    except NoHeader:
        return
    _check(found)


FRAGMENTS = st.sampled_from(
    [
        *("From: a@b.c\n", "To: x\n", "Subject: =?utf-8?q?=C3?=\n", "References: <a@b> <c@d>\n"),
        *("Content-Type: multipart/mixed; boundary=b\n", "Content-Type: text/html\n", "--b\n"),
        *("Content-Type: multipart/alternative; boundary=c\n", "--c\n", "--b--\n", "--c--\n", "\n"),
        *("Content-Type: message/rfc822\n", "Content-Type: text/plain; charset=utf-7\n", "text\n"),
        *("Content-Transfer-Encoding: base64\n", "Content-Disposition: attachment; filename=a\n"),
        *("Content-Transfer-Encoding: quoted-printable\n", "=3D=\n", "AAAA\n", "begin 644 a\n"),
        *("<p style='display:none'>\n", "end\n", "Content-Type: message/delivery-status\n"),
    ]
)


@given(st.lists(FRAGMENTS, max_size=40).map("".join))
def test_any_mixture_of_pieces_is_read(text):
    try:
        found = read(text.encode())
    except NoHeader:
        return
    _check(found)


def _check(found):
    """All that is read can be stored."""
    texts = [found.text, found.html, found.subject, *(each.value for each in found.fields)]
    assert not any("\0" in text for text in texts)
    "".join(texts).encode()
    _ = found.date, found.sender, found.message_id, found.references, found.in_reply_to
    for attachment in found.attachments:
        list(attachment.chunks())
        assert "/" not in attachment.filename
