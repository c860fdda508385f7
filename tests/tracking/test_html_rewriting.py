"""Mail with tracked links: what is changed, and that nothing else is."""

import re

import pytest
from django.test import override_settings
from html_samples import documents
from hypothesis import given, settings
from selectolax.lexbor import LexborHTMLParser

from core.db.ids import uuid7
from tracking.html_rewriting import OPT_OUT, Addressee, rewrite
from tracking.html_scanner import scan
from tracking.link_targets import target
from tracking.tokens import HONEYPOT, Click, Open, read_click, read_open

BASE = "https://mail.test"
CLICK = re.compile(re.escape(BASE) + r"/t/c/([\w-]+)")
HIDDEN_LINK = re.compile(r'<a href="https://mail\.test/t/c/[\w-]+" aria-hidden="true"[^>]*></a>')
PICTURE = re.compile(r'<img src="https://mail\.test/t/o/([\w-]+)\.gif"[^>]*>')
WHOM = Addressee(uuid7(), uuid7())


@pytest.fixture(scope="module", autouse=True)
def _base():
    with override_settings(BASE_URL=BASE):
        yield


def clicked(html, **changes):
    return rewrite(html, WHOM, **({"opens": False, "clicks": True} | changes))


def said(html):
    """What the tokens of the links say, in their order, the honeypot left out."""
    found = [read_click(token) for token in CLICK.findall(HIDDEN_LINK.sub("", html))]
    assert {(each.email_id, each.recipient_id) for each in found} <= {
        (WHOM.email_id, WHOM.recipient_id)
    }
    return [(each.link, each.links, each.target) for each in found]


def restored(html):
    """The document as it was, if nothing but the targets of links was changed."""
    places = [link for link in scan(html).links if CLICK.fullmatch(link.value)]
    for link in reversed(places):
        html = html[: link.start] + "*" + html[link.end :]
    return html


@settings(max_examples=200, deadline=None)
@given(documents)
def test_nothing_but_links_is_changed(html):
    changed = HIDDEN_LINK.sub("", clicked(html))
    tracked = [
        link for link in scan(html).links if target(link.value) and OPT_OUT not in link.attributes
    ]
    assert [each[2] for each in said(changed)] == [target(link.value) for link in tracked]
    for link in reversed(tracked):
        html = html[: link.start] + "*" + html[link.end :]
    assert restored(changed) == html


@settings(max_examples=100, deadline=None)
@given(documents)
def test_a_parser_sees_the_same_document_with_other_links(html):
    def seen(document):
        nodes = LexborHTMLParser(document).css("*")
        return [
            (node.tag, {name: value for name, value in node.attributes.items() if name != "href"})
            for node in nodes
        ]

    # With text behind it the trap would close what is open: that it is there is another matter.
    assert seen(HIDDEN_LINK.sub("", clicked(html))) == seen(html)


@settings(max_examples=100, deadline=None)
@given(documents)
def test_a_tracked_document_is_not_tracked_again(html):
    once = clicked(html)
    assert clicked(once) == once


def test_links_are_numbered_and_told_apart():
    html = '<a href="https://a.test/">a</a><area href=http://b.test><a href="https://a.test/">b</a>'
    assert said(clicked(html)) == [
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
        "<template><a href=https://a.test/></template>",
        f'<a href="https://a.test/{"x" * 1400}">a</a>',
        "<p>no link at all</p>",
    ],
)
def test_what_is_left_alone(html):
    assert clicked(html, untouched=["https://a.test/leave?u=1&v"]) == html


@pytest.mark.parametrize(
    ("value", "goal"),
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
def test_where_a_link_leads(value, goal):
    assert target(value) == goal


def test_a_picture_is_put_last_in_the_body():
    html = "<html><body><p>Hi</p></body></html>"
    changed = rewrite(html, WHOM, opens=True, clicks=False)
    (token,) = PICTURE.findall(changed)
    assert read_open(token) == Open(WHOM.email_id, WHOM.recipient_id)
    assert PICTURE.sub("", changed) == html
    assert changed.endswith('px"></body></html>')
    assert PICTURE.sub("", rewrite("<p>Hi", WHOM, opens=True, clicks=False)) == "<p>Hi"


def test_what_is_behind_the_body_is_not_lost():
    html = '<body><a href="https://a.test/">a</a></body><a href="https://b.test/">b</a>'
    changed = HIDDEN_LINK.sub("", clicked(html))
    assert restored(changed) == '<body><a href="*">a</a></body><a href="*">b</a>'


def test_where_links_are_tracked_there_is_one_that_nobody_sees():
    changed = clicked('<body><a href="https://a.test/">a</a></body>')
    (trap,) = HIDDEN_LINK.findall(changed)
    (token,) = CLICK.findall(trap)
    assert read_click(token) == Click(WHOM.email_id, WHOM.recipient_id, HONEYPOT, 1, "")
    assert changed.endswith(f"{trap}</body>")
    assert 'tabindex="-1"' in trap
    assert "display:none" in trap


def test_several_recipients_are_not_told_apart():
    changed = rewrite(
        '<a href="https://a.test/">', Addressee(WHOM.email_id, None), opens=True, clicks=True
    )
    assert read_open(PICTURE.findall(changed)[0]).recipient_id is None
    assert {read_click(token).recipient_id for token in CLICK.findall(changed)} == {None}
