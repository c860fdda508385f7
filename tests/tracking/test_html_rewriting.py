"""Rewriting HTML for tracking: which parts change, and that everything else stays the same."""

import re
import tracemalloc

import pytest
from django.test import override_settings
from hypothesis import given, settings
from selectolax.lexbor import LexborHTMLParser

from core.db.ids import uuid7
from tests.tracking.html_samples import documents
from tracking.html_rewriting import OPT_OUT, TrackedRecipient, rewrite
from tracking.html_scanner import scan
from tracking.link_targets import target
from tracking.tokens import HONEYPOT, Click, Open, read_click, read_open

BASE = "https://mail.test"
CLICK = re.compile(re.escape(BASE) + r"/t/c/([\w-]+)")
HIDDEN_LINK = re.compile(r'<a href="https://mail\.test/t/c/[\w-]+" aria-hidden="true"[^>]*></a>')
PIXEL = re.compile(r'<img src="https://mail\.test/t/o/([\w-]+)\.gif"[^>]*>')
ADDRESSEE = TrackedRecipient(uuid7(), uuid7())


@pytest.fixture(scope="module", autouse=True)
def _base_url():
    with override_settings(BASE_URL=BASE):
        yield


def track_clicks(html, **changes):
    return rewrite(html, ADDRESSEE, **({"opens": False, "clicks": True} | changes))


def tracked_links(html):
    """(link, links, target) of the click URLs in the HTML, in order, without the honeypot."""
    clicks = [read_click(token) for token in CLICK.findall(HIDDEN_LINK.sub("", html))]
    assert {(click.email_id, click.recipient_id) for click in clicks} <= {
        (ADDRESSEE.email_id, ADDRESSEE.recipient_id)
    }
    return [(click.link, click.links, click.target) for click in clicks]


def without_targets(html):
    """The document with `*` in place of each click URL."""
    click_urls = [link for link in scan(html).links if CLICK.fullmatch(link.value)]
    for link in reversed(click_urls):
        html = html[: link.start] + "*" + html[link.end :]
    return html


@settings(max_examples=200, deadline=None)
@given(documents)
def test_only_link_targets_change(html):
    changed = HIDDEN_LINK.sub("", track_clicks(html))
    tracked = [
        link for link in scan(html).links if target(link.value) and OPT_OUT not in link.attributes
    ]
    assert [each[2] for each in tracked_links(changed)] == [target(link.value) for link in tracked]
    for link in reversed(tracked):
        html = html[: link.start] + "*" + html[link.end :]
    assert without_targets(changed) == html


@settings(max_examples=100, deadline=None)
@given(documents)
def test_a_parser_sees_the_same_document_apart_from_links(html):
    def elements(document):
        nodes = LexborHTMLParser(document).css("*")
        return [
            (node.tag, {name: value for name, value in node.attributes.items() if name != "href"})
            for node in nodes
        ]

    # The hidden link itself may close open elements, so this test leaves it out.
    assert elements(HIDDEN_LINK.sub("", track_clicks(html))) == elements(html)


@settings(max_examples=100, deadline=None)
@given(documents)
def test_rewriting_twice_changes_nothing(html):
    once = track_clicks(html)
    assert track_clicks(once) == once


@pytest.mark.parametrize("unclosed", ["<p><b id={}>", "<p><a href=https://a.test/{}>", "<div>"])
def test_hostile_documents_take_little_memory(unclosed):
    """What a parser of the standard makes of them grows with their square."""
    html = "<a href=https://a.test/>" + "".join(map(unclosed.format, range(10_000)))
    tracemalloc.start()
    try:
        track_clicks(html)
        assert tracemalloc.get_traced_memory()[1] < 40_000_000
    finally:
        tracemalloc.stop()


def test_links_are_numbered():
    html = '<a href="https://a.test/">a</a><area href=http://b.test><a href="https://a.test/">b</a>'
    assert tracked_links(track_clicks(html)) == [
        (1, 3, "https://a.test/"),
        (2, 3, "http://b.test"),
        (3, 3, "https://a.test/"),
    ]


@pytest.mark.parametrize(
    "html",
    [
        '<a href="mailto:a@b.test">a</a>',
        '<a href="#top">a</a>',
        '<a href="tel:+491234">a</a>',
        '<a href="/relative">a</a>',
        '<a href="//b.test/">a</a>',
        '<a href="javascript:alert(1)">a</a>',
        '<a href="{{{OPENSEND_UNSUBSCRIBE_URL}}}">a</a>',
        '<a href="https://mail.test/t/u/abc">a</a>',
        '<a href="https://a.test/Unsubscribe?u=1">a</a>',
        '<a href="https://a.test/leave?u=1&amp;v">a</a>',
        '<a href="https://a.test/" data-opensend-no-track>a</a>',
        '<a href="https://a.test/" DATA-OPENSEND-NO-TRACK="1">a</a>',
        '<a name="x">a</a>',
        '<link href="https://a.test/"><img src="https://a.test/"><form action="https://a.test/">',
        "<textarea><a href=https://a.test/></textarea>",
        "<svg><style><a href=https://a.test/></style></svg>",
        "<svg><![CDATA[ > <a href=https://a.test/> ]]></svg>",
        "<svg><![CDATA[ <![CDATA[ > <a href=https://a.test/>",
        f'<a href="https://a.test/{"x" * 1400}">a</a>',
        "<p>no link at all</p>",
    ],
)
def test_links_that_are_not_rewritten(html):
    assert track_clicks(html, excluded_urls=["https://a.test/leave?u=1&v"]) == html


@pytest.mark.parametrize(
    ("value", "url"),
    [
        (" https://a.test/x\n", "https://a.test/x"),
        ("HTTPS://A.test/", "HTTPS://A.test/"),
        ("https://a.test/a\r\nb\tc", "https://a.test/abc"),
        ("https://a.test/ü?q=ö#ä", "https://a.test/%C3%BC?q=%C3%B6#%C3%A4"),
        ("https://a.test/%C3%BC%", "https://a.test/%C3%BC%"),
        ("https://bücher.test:8443/", "https://xn--bcher-kva.test:8443/"),
        ("https://a.test/a b\"<>{}|\\^`'", "https://a.test/a%20b%22%3C%3E{}|\\^`'"),
        ("https://a.test?x", "https://a.test?x"),
        ("https://user:pass@a.test/", "https://user:pass@a.test/"),
        ("https://", None),
        ("https:a.test", None),
        ("https://\u200b\ufffe.test/", None),
        ("ftp://a.test/", None),
        ("", None),
    ],
)
def test_the_target_of_a_link_is_normalised(value, url):
    assert target(value) == url


def test_the_open_pixel_is_added_at_the_end_of_the_body():
    html = "<html><body><p>Hi</p></body></html>"
    changed = rewrite(html, ADDRESSEE, opens=True, clicks=False)
    (token,) = PIXEL.findall(changed)
    assert read_open(token) == Open(ADDRESSEE.email_id, ADDRESSEE.recipient_id)
    assert PIXEL.sub("", changed) == html
    assert changed.endswith('px"></body></html>')
    assert PIXEL.sub("", rewrite("<p>Hi", ADDRESSEE, opens=True, clicks=False)) == "<p>Hi"


def test_content_after_the_body_is_kept():
    html = '<body><a href="https://a.test/">a</a></body><a href="https://b.test/">b</a>'
    changed = HIDDEN_LINK.sub("", track_clicks(html))
    assert without_targets(changed) == '<body><a href="*">a</a></body><a href="*">b</a>'


def test_click_tracking_adds_a_hidden_link():
    changed = track_clicks('<body><a href="https://a.test/">a</a></body>')
    (honeypot,) = HIDDEN_LINK.findall(changed)
    (token,) = CLICK.findall(honeypot)
    assert read_click(token) == Click(ADDRESSEE.email_id, ADDRESSEE.recipient_id, HONEYPOT, 1, "")
    assert changed.endswith(f"{honeypot}</body>")
    assert 'tabindex="-1"' in honeypot
    assert "display:none" in honeypot


def test_links_to_several_recipients_name_none():
    changed = rewrite(
        '<a href="https://a.test/">',
        TrackedRecipient(ADDRESSEE.email_id, None),
        opens=True,
        clicks=True,
    )
    assert read_open(PIXEL.findall(changed)[0]).recipient_id is None
    assert {read_click(token).recipient_id for token in CLICK.findall(changed)} == {None}
