"""The elements in which clients put quotes, in texts that have no other sign of one."""

import pytest

from receiving.reply_text import ReplyMethod, split

TEXT = "Yes, I would.\n\nWould you like tea?"
OUTLOOK = "border:none;border-top:solid {} 1.0pt;padding:3.0pt 0in 0in 0in"


def extracted(html, text=TEXT, subject="Re: Tea"):
    return split(text, html, subject=subject).extracted_text


@pytest.mark.parametrize(
    "quote",
    [
        "<blockquote>Would you like tea?</blockquote>",
        "<BLOCKQUOTE TYPE=CITE>Would you like tea?</BLOCKQUOTE>",
        "<div class='gmail_quote'>Would you like tea?</div>",
        "<div class='x gmail_attr y'>Would you like tea?</div>",
        "<div class=moz-cite-prefix>Would you like tea?</div>",
        "<div class=protonmail_quote>Would you like tea?</div>",
        "<div class=yahoo_quoted>Would you like tea?</div>",
        "<div id=yahoo_quoted_123>Would you like tea?</div>",
        "<div class=zmail_extra>Would you like tea?</div>",
        "<div class=ms-outlook-mobile-reference-message>Would you like tea?</div>",
        "<div id=divRplyFwdMsg></div>Would you like tea?",
        "<div id=appendonsend></div><hr><div>Would you like tea?</div>",
        "<div id=mail-editor-reference-message-container>Would you like tea?</div>",
        f"<div><div style='{OUTLOOK.format('#E1E1E1')}'></div></div>Would you like tea?",
        f"<div style='{OUTLOOK.format('#B5C4DF')}'></div>Would you like tea?",
        f"<div style='{OUTLOOK.format('rgb(225, 225, 225)')}'></div>Would you like tea?",
    ],
)
def test_the_elements_of_clients_are_quotes(quote):
    found = split(TEXT, f"<p>Yes, I would.</p>{quote}", subject="Re: Tea")
    assert found.extracted_text == "Yes, I would."
    assert found.quoted_text == "Would you like tea?"
    assert found.reply_method is ReplyMethod.HTML


@pytest.mark.parametrize(
    "element",
    [
        "<div>Would you like tea?</div>",
        "<div class=quote>Would you like tea?</div>",
        "<div style='border-top:solid #E1E1E1 1.0pt'>Would you like tea?</div>",
        "<blockquote style='margin: 0 0 0 40px; border: none'>Would you like tea?</blockquote>",
        "<!-- <blockquote type=cite> -->Would you like tea?",
        "<style><blockquote type=cite></style>Would you like tea?",
        "<div data-x='<blockquote type=cite>'>Would you like tea?</div>",
    ],
)
def test_other_elements_are_no_quotes(element):
    assert extracted(f"<p>Yes, I would.</p>{element}") == TEXT


def test_what_follows_a_quote_is_not_quoted():
    html = "<blockquote type=cite><div>Would you like tea?</blockquote><p>Yes, I would.</p>"
    text = "Would you like tea?\n\nYes, I would."
    assert extracted(html, text) == "Yes, I would."


def test_nested_quotes_end_together():
    html = "<blockquote><blockquote>Would you like tea?</blockquote>I ask.</blockquote><p>Yes.</p>"
    assert extracted(html, "Would you like tea?\n\nI ask.\n\nYes.") == "Yes."


def test_an_answer_between_the_quotes_of_a_container_is_kept():
    html = (
        "<div class=gmail_quote>Anna asked:<blockquote>Would you like tea?</blockquote>Yes, please."
        "<blockquote>And cake?</blockquote>No, thanks.</div>"
    )
    text = "Anna asked:\n\nWould you like tea?\n\nYes, please.\n\nAnd cake?\n\nNo, thanks."
    assert extracted(html, text) == "Yes, please.\n\nNo, thanks."


@pytest.mark.parametrize(
    "attribute",
    [
        "class=gmail_signature",
        "class=moz-signature",
        "id=Signature",
        "id=ms-outlook-mobile-signature",
    ],
)
def test_the_elements_of_signatures_are_cut(attribute):
    found = split("Yes.\n\nBob Jones", f"<p>Yes.</p><div {attribute}>Bob Jones</div>")
    assert found.extracted_text == "Yes."
    assert found.reply_method is ReplyMethod.SIGNATURE


def test_a_list_starts_a_quote_though_its_numbers_are_not_in_the_html():
    html = "<p>Yes.</p><blockquote type=cite><ol><li>Tea?</li><li>Cake?</li></ol></blockquote>"
    assert extracted(html, "Yes.\n\n1. Tea?\n2. Cake?") == "Yes."


def test_a_line_that_only_the_text_has_is_kept():
    html = "<blockquote type=cite>Would you like tea?</blockquote><p>Yes, I would like some.</p>"
    text = "Would you like tea?\n\nPS: it is hot.\n\nYes, I would like some."
    assert extracted(html, text) == "PS: it is hot.\n\nYes, I would like some."


def test_html_that_shares_only_some_lines_with_the_text_is_ignored():
    html = (
        "<blockquote type=cite>Would you like tea?</blockquote>"
        "<p>This mail has to be read in the portal, where you find all of it with its files.</p>"
    )
    text = "Would you like tea?\n\nI have some of the best green tea, and it is all for you!"
    assert extracted(html, text) == text


def test_what_is_beyond_the_bound_of_the_html_has_the_last_label():
    lines = [f"this is line {number} of the quote" for number in range(2000)]
    padding = "<br class=x>" * 12_000
    html = f"<p>Yes.</p><blockquote type=cite>{'<br>'.join(lines[:500])}{padding}</blockquote>"
    assert extracted(html, "Yes.\n\n" + "\n".join(lines)) == "Yes."


def test_an_unfinished_tag_ends_the_html():
    assert extracted("<p>Yes, I would.</p><blockquote type=cite Would you like tea?") == TEXT


def test_a_reference_to_a_huge_character_is_read():
    assert extracted(f"<p>Yes, I would.</p>&#{'1' * 5000};<blockquote>Would you like tea?") == (
        "Yes, I would."
    )
