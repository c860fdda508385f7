"""The built message is valid on the wire and parses back to what was given."""

import re
from email import message_from_bytes
from email.policy import default

import pytest
from django.utils import timezone
from hypothesis import example, given
from hypothesis import strategies as st

from emails.content.mime import build
from emails.content.sizes import text_size
from tests.factories import unsaved_email

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=400)


def read(mail):
    raw = build(mail)
    assert raw.isascii()
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", raw)
    return message_from_bytes(raw, policy=default)


@pytest.mark.parametrize(
    "text", ["a", "é", "=", "漢", "&nbsp;", "eé", "b" * 10 + "é", "a\n", "é\n"]
)
@pytest.mark.parametrize("head", ["", "a\n" * 12, "é\n" * 12])
def test_text_size_is_an_upper_bound(head, text):
    long_text = head + text * 10_000

    fields = len(build(unsaved_email(text="é")))
    assert len(build(unsaved_email(text=long_text))) <= fields + text_size(long_text)


def lines(text):
    return re.sub(r"\r\n?", "\n", text).rstrip("\n")


def content(message, kind):
    return lines(message.get_body(preferencelist=(kind,)).get_content())


def test_a_complete_email_parses_back():
    mail = unsaved_email(
        sender='"Lovelace, Ada" <ada@example.com>',
        to=["bob@example.net", "Jürgen Müller <juergen@xn--bcher-kva.example>"],
        cc=["carla@example.net"],
        bcc=["eve@example.net"],
        reply_to=["Support <help@example.com>", "more@example.com"],
        subject="Grüße aus Köln 🎉",
        html="<p>Hällo</p>",
        text="Hällo",
        headers={"X-Order": "7", "List-Unsubscribe": "<https://example.com/" + "u" * 200 + ">"},
    )

    message = read(mail)

    assert message.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    assert (content(message, "plain"), content(message, "html")) == ("Hällo", "<p>Hällo</p>")
    (sender,) = message["From"].addresses
    assert (sender.display_name, sender.addr_spec) == ("Lovelace, Ada", "ada@example.com")
    assert [(each.display_name, each.addr_spec) for each in message["To"].addresses] == [
        ("", "bob@example.net"),
        ("Jürgen Müller", "juergen@xn--bcher-kva.example"),
    ]
    assert str(message["Cc"]) == "carla@example.net"
    assert [each.addr_spec for each in message["Reply-To"].addresses] == [
        "help@example.com",
        "more@example.com",
    ]
    assert message["Subject"] == "Grüße aus Köln 🎉"
    assert message["X-Order"] == "7"
    assert message["List-Unsubscribe"] == mail.headers["List-Unsubscribe"]
    assert message["X-OpenSend-Email-ID"] == str(mail.pk)
    assert message["Message-ID"] == f"<{mail.pk}@example.com>"
    assert abs(message["Date"].datetime - timezone.now()).total_seconds() < 60
    assert message["MIME-Version"] == "1.0"
    assert len(set(message.keys())) == len(message.keys())
    assert b"eve@" not in build(mail)


def test_an_email_with_text_only_is_a_single_part():
    message = read(unsaved_email())

    assert message.get_content_type() == "text/plain"
    assert content(message, "plain") == "Hello Bob"


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<h1>Hello</h1><p>How are <b>you</b>?</p>", "Hello\n\nHow are you?"),
        ('See <a href="https://example.com/a">this</a>.', "See this (https://example.com/a)."),
        ('<a href="https://example.com">https://example.com</a>', "https://example.com"),
        ("<style>p {color: red}</style><script>x()</script><p>Grüße</p>", "Grüße"),
        ('<img src="x.png" alt="A cat"><br>meows', "A cat\nmeows"),
        ("<ul><li>one<li>two</ul>", "one\n\ntwo"),
        ("&lt;b&gt; &amp; co", "<b> & co"),
    ],
)
def test_html_only_gets_a_generated_text_part(html, text):
    message = read(unsaved_email(html=html, text=""))

    assert message.get_content_type() == "multipart/alternative"
    assert re.sub(r"\n+", "\n", content(message, "plain")) == re.sub(r"\n+", "\n", text)
    assert content(message, "html") == html


@given(TEXTS)
@example("long " * 1000)
@example("x" * 5000)
@example("ü" * 2000)
@example("From the start\n.\n..\nFrom here")
@example(" \t \n")
@example("one\rtwo\r\nthree\n\nfour\x0cfive\u2028six")
@example("--===============")
def test_every_text_parses_back(text):
    assert content(read(unsaved_email(text=text)), "plain") == lines(text)


@given(TEXTS, TEXTS)
@example("<p>" + "x" * 5000 + "</p>", "--boundary\r\n\r\n--boundary--")
def test_every_pair_of_html_and_text_parses_back(html, text):
    message = read(unsaved_email(html=html, text=text))

    assert (content(message, "plain"), content(message, "html")) == (lines(text), lines(html))
