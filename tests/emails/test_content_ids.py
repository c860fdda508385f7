"""Inline images: the Content-ID header and the `cid:` URL agree, however the caller writes them."""

from base64 import b64encode
from email import message_from_bytes
from email.policy import default
from html import unescape
from time import process_time
from urllib.parse import quote, unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser

from emails.content.content_ids import clean, on_the_wire, rewrite_references
from emails.models import Email
from emails.sending.loop import send_due

# A content id, and how the HTML refers to it.
PAIRS = [
    ("logo", "cid:logo"),
    ("logo.png", "cid:logo.png"),
    ("logo@x.example", "cid:logo@x.example"),
    ("my logo.png", "cid:my logo.png"),
    ("my logo.png", "cid:my%20logo.png"),
    ("my%20logo.png", "cid:my%20logo.png"),
    ("my%20logo.png", "cid:my logo.png"),
    ("<logo>", "cid:logo"),
    ("<logo@x.example>", "cid:&lt;logo@x.example&gt;"),
    ("logo", "cid:<logo>"),
    ("logo", "cid:%3Clogo%3E"),
    ("cid:logo", "cid:logo"),
    (" logo ", "cid: logo"),
    ("größe.png", "cid:größe.png"),
    ("größe.png", "cid:gr%C3%B6%C3%9Fe.png"),
    ("größe.png", "cid:gr&ouml;&szlig;e.png"),
    ("gro\u0308ße", "cid:größe"),
    ("ロゴ", "cid:ロゴ"),
    ("logo[1].png", "cid:logo[1].png"),
    ("logo(1).png", "cid:logo(1).png"),
    ("a&b", "cid:a&amp;b"),
    ("a&b", "cid:a&b"),
    ("a#b?c/d", "cid:a#b?c/d"),
    ("100%", "cid:100%"),
    ("o'brien", "cid:o'brien"),
    ("Logo.PNG", "CID:logo.png"),
    ("a..b", "cid:a..b"),
    ("L" * 128, "cid:" + "L" * 128),
    ("é" * 128, "cid:" + quote("é" * 128)),
]
PLACES = [
    '<img src="{}">',
    "<IMG SRC = \"{}\" alt='x'>",
    '<td background="{}">',
    '<!--[if mso]><v:fill src="{}"/><![endif]-->',
    "<div style=\"background:url('{}')\">",
    '<div style="background:url(&quot;{}&quot;)">',
    "<div style='background:url(&#34;{}&#34;)'>",
    '<div style="background:url(&#39;{}&#39;)">',
    '<div style="background:url(&#x27;{}&#x27;)">',  # Django, Jinja
    '<div style="background:url(&#039;{}&#039;)">',  # PHP
    '<div style="background:url( &apos;{}&apos; )">',
    "<img src='\n  {}\n'>",
]


@pytest.fixture
def sent(accepted, provider, settings, tmp_path):
    """`sent(html, *ids)`: the HTML and the Content-IDs of the message that went out."""
    settings.BLOB_STORE = str(tmp_path)

    def send(html, *ids):
        content = b64encode(b"png").decode()
        files = [{"filename": "a.png", "content": content, "content_id": each} for each in ids]
        accepted(html=html, attachments=files)
        Email.objects.update(next_attempt_at="2026-01-01T00:00Z")
        send_due()
        message = message_from_bytes(provider.sent[0].mime, policy=default)
        found = [part["Content-ID"] for part in message.walk() if part["Content-ID"]]
        assert all(each[0] == "<" and each[-1] == ">" for each in found)
        return message.get_body(("html",)).get_content().strip(), [each[1:-1] for each in found]

    return send


@pytest.mark.parametrize(("content_id", "reference"), PAIRS)
@pytest.mark.django_db
def test_both_ends_agree(sent, content_id, reference):
    html, (wire,) = sent(f'<img src="{reference}">', content_id)

    (image,) = LexborHTMLParser(html).css("img")
    # As clients compare them: with percent-encoding resolved, or without (RFC 2392).
    assert image.attributes["src"] == f"cid:{wire}" == unquote(f"cid:{wire}")
    assert quote(wire, safe="@+=~") == wire


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("reference", ["my logo.png", "my%20logo.png"])
def test_references_are_found_in_all_places(place, reference):
    html = rewrite_references(place.format(f"cid:{reference}"), ["my logo.png"])

    assert html == place.format(f"cid:{on_the_wire('my logo.png')}")


OTHERS = [
    '<img src="cid:other">',
    '<img src="https://x.example/cid:my%20logo.png">',
    "<p>acid:my logo.png</p>",
    '<img src="cid:">',
    '<a href="cid">',
    '<img src="cid:my logo',
]


@pytest.mark.parametrize("html", OTHERS)
def test_everything_else_stays_as_it_is(html):
    assert rewrite_references(html, ["my logo.png"]) == html


def test_several_urls_in_one_attribute():
    html = '<img srcset="cid:größe 1x, cid:b%C3%BC 2x, cid:c 3x">'
    a, b = on_the_wire("größe"), on_the_wire("bü")

    assert rewrite_references(html, ["größe", "bü"]) == (
        f'<img srcset="cid:{a} 1x, cid:{b} 2x, cid:c 3x">'
    )


@pytest.mark.django_db
def test_ids_that_differ_in_their_spelling_stay_apart(sent):
    ids = ["Logo", "logo", "my logo", "my%20logo"]
    html, wires = sent("".join(f'<img src="cid:{each}">' for each in ids), *ids)

    assert html == "".join(f'<img src="cid:{each}">' for each in wires)
    assert len(set(wires)) == 4


@pytest.mark.parametrize("content_id", ["", " ", "<>", "a<b", "a\nb", "a\x00b", "x" * 129, 'a"b'])
@pytest.mark.django_db
def test_what_is_no_id_is_refused(send, content_id):
    file = {"filename": "a", "content": "", "content_id": content_id}
    answer = send(attachments=[file])

    assert answer.status_code == 422
    assert list(answer.json()["details"]["fields"]) == ["attachments.0.content_id"]


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=128))
@example("a b")
@example("&lt;")
@example("%41")
def test_any_id_is_found_by_its_percent_encoded_reference(text):
    try:
        content_id = clean(text)
    except ValueError:
        return
    html = rewrite_references(f'<img src="cid:{quote(content_id)}">', [content_id])

    assert html == f'<img src="cid:{on_the_wire(content_id)}">'
    assert unescape(on_the_wire(content_id)).isascii()


HOSTILE = [
    *("cid:", "'cid:", '"cid:x', "(cid:", " cid:a,", "&quot;cid:", "&#x27;cid:", '"cid: ', '" '),
    "'cid:" + " " * 2000 + "x",
]


@pytest.mark.parametrize("piece", HOSTILE)
def test_hostile_html_takes_linear_time(piece):
    html = piece * (200_000 // len(piece))
    started = process_time()

    assert rewrite_references(html, ["my logo.png"]) == html
    assert process_time() - started < 5
