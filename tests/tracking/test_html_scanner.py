"""The links that the scanner finds, compared with a real HTML parser."""

import time

import pytest
from hypothesis import example, given, settings
from selectolax.lexbor import LexborHTMLParser

from tests.tracking.html_samples import documents
from tracking.html_scanner import scan


def parsed(document):
    """The link targets that the parser finds."""
    nodes = LexborHTMLParser(document).css("a[href], area[href]")
    return {node.attributes["href"] for node in nodes} - {None, ""}


def normalise_newlines(value):
    return value.replace("\r\n", "\n").replace("\r", "\n")


@settings(max_examples=400, deadline=None)
@given(documents)
@example("<script><!-- <script> </script><a href=x> --></script><a href=y>")
@example("<a title='>' href=x>")
@example('<a href="x>y <a href=z>')
@example("<a href=x href=y>")
@example("<a =href href=x>")
@example("<a href=x<a href=y>")
def test_the_scanner_finds_the_same_links_as_a_parser(document):
    assert {normalise_newlines(link.value) for link in scan(document).links} == parsed(document)


@settings(deadline=None)
@given(documents)
def test_each_position_contains_the_value(document):
    for link in scan(document).links:
        source = document[link.start : link.end]
        assert "&" in source or source == link.value
        assert document[: link.start].rstrip("\"' \t\n\f\r").endswith("=")


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("?a=1&amp;b=2", "?a=1&b=2"),
        ("?a=1&b=2", "?a=1&b=2"),
        ("?a=1&copy=2", "?a=1&copy=2"),
        ("?a=1&copyright", "?a=1&copyright"),
        ("?a=1&copy;=2", "?a=1©=2"),
        ("?a=1&notin;&notit;", "?a=1∉&notit;"),
        ("?a=1&copy", "?a=1©"),
        ("?&#65;&#x42;&#X43", "?ABC"),
    ],
)
def test_character_references_are_decoded_as_in_attributes(source, value):
    (link,) = scan(f'<a href="{source}">').links
    assert link.value == value
    assert parsed(f'<a href="{source}">') == {value}


@pytest.mark.parametrize(
    ("document", "rest"),
    [
        ("<body>x</body></html>", "</body></html>"),
        ("<body>x</BODY >", "</BODY >"),
        ("<p>x", ""),
        ("<!-- </body> -->x", ""),
        ("<body></body><body></body>y", "</body>y"),
        ("</body-x>", ""),
    ],
)
def test_the_tail_is_the_end_of_the_body(document, rest):
    assert document[scan(document).tail :] == rest


@pytest.mark.parametrize(
    "hostile",
    [
        "<",
        "<a ",
        "<a href=",
        '<a href="',
        "<!--",
        "<a x=' ",
        "<script>",
        "</",
        "<a\t=",
        "&",
        "<a / ",
    ],
)
def test_hostile_documents_take_linear_time(hostile):
    started = time.process_time()
    scan(hostile * (300_000 // len(hostile)))
    assert time.process_time() - started < 1
