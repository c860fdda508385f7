"""The generated text part: what a reader of the HTML sees, with its links, in linear time."""

import tracemalloc
from email import message_from_bytes
from email.policy import default
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.db.ids import uuid7
from emails.content.html_to_text import html_to_text
from emails.content.mime import build
from emails.models import Email
from emails.sending.loop import send_due

URL = "https://x.example/r"
# As React Email renders its `Preview`, `Button`, `Link` and `Hr`.
REACT_EMAIL = (
    '<!DOCTYPE html><html dir="ltr" lang="en"><head><link rel="preload" as="image" href="l.png"/>'
    '<meta content="text/html; charset=UTF-8" http-equiv="Content-Type"/></head><body><!--$-->'
    '<div style="display:none;overflow:hidden;max-height:0" data-skip-in-text="true">Join Alan'
    "<div>\xa0\u200c\u200b\u200d\u200e\u200f\ufeff\xa0\u200c\u200b\u200d</div></div>"
    '<table role="presentation"><tbody><tr><td><table><tbody><tr><td>'
    '<img alt="Enigma" src="l.png" style="display:block"/></td></tr></tbody></table>'
    "<h1>Join <strong>Enigma</strong></h1><p>Hello <!-- -->Alan<!-- -->,</p><table><tbody><tr><td>"
    f'<a href="{URL}" style="display:inline-block" target="_blank"><span><!--[if mso]>'
    '<i style="mso-font-width:500%" hidden>&#8202;&#8202;</i><![endif]--></span>'
    '<span style="display:inline-block">Join the team</span><span><!--[if mso]>'
    "<i hidden>&#8202;&#8203;</i><![endif]--></span></a></td></tr></tbody></table>"
    f'<p>or copy this URL: <a href="{URL}">{URL}</a></p><hr/><p>footer</p></td></tr></tbody>'
    "</table><!--/$--></body></html>"
)

LINKS = [
    (f'<a href="{URL}"><b>Reset</b></a>', f"Reset ({URL})"),
    (f'<a href="{URL}"><!-- here -->Reset<!-- there --></a>', f"Reset ({URL})"),
    (f'<a href="{URL}">Reset <i>your</i> password</a>.', f"Reset your password ({URL})."),
    ('<A HREF="HTTPS://x.example/r">Reset</A>', "Reset (HTTPS://x.example/r)"),
    (f"<a href={URL}>Reset</a>", f"Reset ({URL})"),
    (f"<a href='{URL}' href='https://y.example'>Reset</a>", f"Reset ({URL})"),
    (f'<a href="{URL}"><img src="b.png" alt="Buy now"></a>', f"Buy now ({URL})"),
    (f'<a href="{URL}"><img src="b.png"></a>', URL),
    (f'<a href="{URL}"><img src="b.png" alt=" "></a>', URL),
    (f'<a href="{URL}"><img alt="Logo">Acme</a>!', f"Logo Acme ({URL})!"),
    (f'<a href="{URL}"><table><tr><td><p>Reset</p></table></a><p>Bye', f"Reset ({URL})\n\nBye"),
    (f'<a href="{URL}">Yes</a><a href="{URL}n">No</a>', f"Yes ({URL}) No ({URL}n)"),
    (f'<a href="{URL}">Yes</a>now', f"Yes ({URL}) now"),
    (f'<a href="{URL}">Yes<a href="{URL}n">No', f"Yes ({URL}) No ({URL}n)"),
    (f'<div><a href="{URL}">Reset</div>else', f"Reset ({URL})\nelse"),
    (
        '<a href="https://x.example/?a=1&amp;b=2&copy=3">Go</a>',
        "Go (https://x.example/?a=1&b=2&copy=3)",
    ),
    ('<a href="https://x.example/a_(b)*c*">a_b</a>', "a_b (https://x.example/a_(b)*c*)"),
    ('<a href="https://x.example/\n a">Go</a>', "Go (https://x.example/%20a)"),
    (f'<a href="https://x.example/{"u" * 500}">Go</a>', f"Go (https://x.example/{'u' * 500})"),
    ('<a href="{{{OPENSEND_URL}}}">Leave</a>', "Leave ({{{OPENSEND_URL}}})"),
    ('<a href="myapp://reset?t=1">Open</a>', "Open (myapp://reset?t=1)"),
    ('<a href="//x.example/r">Go</a>', "Go (https://x.example/r)"),
    ('<a href="mailto:a@x.example">Write</a>', "Write (a@x.example)"),
    ('<a href="mailto:A@x.example">a@x.example</a>', "a@x.example"),
    ('<a href="mailto:a@x.example?subject=x">Write</a>', "Write (mailto:a@x.example?subject=x)"),
    ('<a href="tel:+4930123">Call</a>', "Call (+4930123)"),
    ('<a href="tel:+4930123">+49 30 / 123</a>', "+49 30 / 123"),
    (f'<a href="{URL}">{URL}</a>', URL),
    (f'<a href="{URL}/">{URL}</a>', URL),
    ('<a href="javascript:x()">A</a> <a href="#top">B</a> <a name="c">C</a>', "A B C"),
    (f'a<a href="{URL}"></a>b<a href="{URL}" style="display:none">c</a>', "ab"),
    (f'<map><area href="{URL}" alt="Shop"><area href="{URL}2"></map>', f"Shop ({URL}) {URL}2"),
]

TEXTS = [
    ("<p>Your code</p><span>123</span>", "Your code\n\n123"),
    ("<div>Your code</div>123", "Your code\n123"),
    ("123<div>Your code</div>", "123\nYour code"),
    ('<span style="display:block">a</span><span style="display: block">b</span>', "a\nb"),
    ("<table><tr><td>Tea</td><td>2</td></tr><tr><th>Total<th>$5</table>", "Tea 2\nTotal $5"),
    ("<td>a</td><td></td><td>b</td>", "a b"),
    ("<ul><li>a<li>b<ol start=3><li>c<li>d</ol></ul>e", "- a\n- b\n  3. c\n  4. d\n\ne"),
    ("<ol><li><p>one</p></li><li><p>two</p></li></ol>", "1. one\n\n2. two"),
    ("<dl><dt>a<dd>b<dt>c</dl>", "a\nb\nc"),
    ("one<br>two<br/><br />three</br>four", "one\ntwo\n\nthree\nfour"),
    ("a<hr>b", "a\n\n---\n\nb"),
    ("<pre>def f():\n    return 1\n\n</pre>x   y", "def f():\n    return 1\n\nx y"),
    ("&lt;b&gt; &amp; co &euro;&#8364;&#x20AC;&nbsp;&copy &x;", "<b> & co €€€ © &x;"),
    (f"a&#{'9' * 5000};b", "a\N{REPLACEMENT CHARACTER}b"),
    ("a < b, c <3 d", "a < b, c <3 d"),
    ("1. *a* _b_ # c [d](e) \\ > f", "1. *a* _b_ # c [d](e) \\ > f"),
    ("<style>p{}</style><script>x('</p>')</script><svg><title>s</title></svg>a", "a"),
    ("<head><title>t</title><meta><div>a</div>", "a"),
    ("<!--[if mso]><p>a</p><![endif]--><![if !mso]><p>b</p><![endif]>", "b"),
    ("<!-- a > b -->c<!-->d<!--->e", "cde"),
    ('<div style="display:none">Preview&nbsp;&zwnj;</div><p>Hi</p>', "Hi"),
    ("<p hidden>Preview<p>Hi", "Hi"),
    ('<table><tr><td style="DISPLAY : NONE">a<table><tr><td>b</table><td>c</table>', "c"),
    ("<p>Preview" + "&nbsp;&zwnj;&#847;&shy;" * 30 + "</p><p>Hi</p>", "Preview\n\nHi"),
    ("<p>👨‍👩‍👧 می‌خواهم</p>", "👨‍👩‍👧 می‌خواهم"),
    ("Hi<img alt=':)'>! <img src=x>", "Hi :)!"),
    ("<b>a</b><i>b</i>", "ab"),
    (
        '<span style="display:inline-block;width:9em">Total</span>'
        '<b style="color:red;DISPLAY: inline-flex"><i>$5</i></b>',
        "Total $5",
    ),
    ('<button type="button">Yes</button><button>No</button>', "Yes No"),
    ('<div style="display:flex"><span>Total</span><b><i>$</i>5</b></div>', "Total $5"),
    ('<p style="display: inline-grid"><i>a</i><i>b</i>,<br><i>c</i></p>d', "a b,\nc\n\nd"),
    ('$<span style="display:inline-block">9</span>.99', "$9.99"),
    ('<b style="display:inline-block"><i style="display:inline-block">a</i></b>b', "ab"),
    (
        '<div style="white-space:pre-wrap">Dear\n  <b>Ann</b>,\n\nhi</div>x  y',
        "Dear\n  Ann,\n\nhi\nx y",
    ),
    ('<p style="WHITE-SPACE : pre-line">a  b\n c<i>\nd</i></p>', "a b\nc\nd"),
    ('<pre>a\n<i style="white-space:normal">b\nc</i>\nd</pre>', "a\nb c\nd"),
    (
        '<table style="white-space:pre-wrap">\n<tr>\n<td>a\nb</td>\n<td>c</td>\n</tr></table>',
        "a\nb c",
    ),
    ("<pre><b>a</b> <i>b</i>\n  \n\t\n \n  <b>c</b></pre> d", "a b\n\n  c\n\nd"),
    ('<p style="white-space:nowrap">a\nb</p>', "a b"),
    ("<p>one<p>two<div>three</b></i>four", "one\n\ntwo\n\nthreefour"),
    ("Hello <a", "Hello"),
    ("", ""),
    ("<img src=x><p>&zwnj;</p>", ""),
    (
        REACT_EMAIL,
        f"Enigma\n\nJoin Enigma\n\nHello Alan,\n\nJoin the team ({URL})\n\n"
        f"or copy this URL: {URL}\n\n---\n\nfooter",
    ),
]


@pytest.mark.parametrize(("html", "text"), LINKS)
def test_links_keep_their_labels_and_targets(html, text):
    assert html_to_text(html) == text


@pytest.mark.parametrize(("html", "text"), TEXTS)
def test_the_text_is_what_a_reader_sees(html, text):
    assert html_to_text(html) == text


HOSTILE = [
    *("<div>", "<table><tr><td>", "<!--", "<", "<a ", '<a b="', "&", "&aaaaaaaaaaaaaaaa", " "),
    *(" \u200c", "<ul><li>", "<script>", "<![CDATA[", "<p hidden>", "<p>x", "<ol><li>x", "</b><i>"),
    *('<a href="https://x.example/">', "&#99", "<pre>\n \n", "<b><p>", "x<hr>", "<head>", "&nGt;"),
]


@pytest.mark.parametrize("piece", HOSTILE)
def test_hostile_html_takes_linear_time_and_memory(piece):
    html = piece * (150_000 // len(piece))
    tracemalloc.start()
    started = process_time()
    text = html_to_text(html)
    seconds, (_, peak) = process_time() - started, tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert seconds < 5  # tracing memory takes most of it
    assert peak < 100_000_000
    assert len(text.encode()) < len(html.encode()) + 10_000


def test_unclosed_formatting_elements_are_no_amplifier():
    html = "".join(f"<p><b id={number}>x" for number in range(30_000))

    assert html_to_text(html).split() == ["x"] * 30_000


@given(st.text(st.sampled_from("<>/!-=\"'&; abp\n") | st.characters(codec="utf-8"), max_size=200))
def test_any_input_has_a_text_without_markup_whitespace(html):
    text = html_to_text(html)

    assert text == text.strip("\n")
    assert "\n\n\n" not in text


TAGS = ["div", "span", "td", "tr", "table", "pre", "button", "a", "li", "ul", "br", "img", "b"]
STYLES = [
    *("", "display:flex", "display:inline-block", "display:none", "display:inline-grid"),
    *("white-space:pre-wrap", "white-space:pre-line", "white-space:normal"),
]
PIECES = st.one_of(
    st.builds('<{} href="x:y" style="{}">'.format, st.sampled_from(TAGS), st.sampled_from(STYLES)),
    st.builds("</{}>".format, st.sampled_from(TAGS)),
    st.sampled_from([" ", "\n", "\r\n", "\xa0", "a", "b c", "\n\n d"]),
)


@given(st.lists(PIECES, max_size=25).map("".join))
def test_any_elements_have_a_text_with_single_empty_lines(html):
    text = html_to_text(html)

    assert text == text.strip("\n")
    assert "\n\n\n" not in text


def email(**changes):
    fields = {"sender": "a@example.com", "to": ["b@example.net"], "subject": "x", "text": ""}
    return Email(id=uuid7(), **fields | changes)


def test_html_without_anything_to_read_has_no_text_part():
    message = message_from_bytes(build(email(html='<img src="cid:a">')), policy=default)

    assert message.get_content_type() == "text/html"


def test_the_text_of_a_tracked_email_has_the_original_links(accepted, provider, domain, db):
    type(domain).objects.update(click_tracking=True, open_tracking=True)
    accepted(html=f'<a href="{URL}"><b>Reset</b></a>', text=None)
    Email.objects.update(next_attempt_at="2026-01-01T00:00Z")
    send_due()

    message = message_from_bytes(provider.sent[0].mime, policy=default)
    assert message.get_body(("plain",)).get_content().strip() == f"Reset ({URL})"
    assert URL not in message.get_body(("html",)).get_content()
