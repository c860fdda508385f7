"""What holds for any message."""

from hypothesis import given, settings
from hypothesis import strategies as st

from receiving.reply_text import ReplyMethod, split

WORDS = [
    "yes",
    "no",
    "Tea?",
    "Hello Anna,",
    "see you on Monday",
    "für 3 €",
    "承知しました。",
    "- milk",
]
LINES = [
    *(
        "",
        ">",
        "> tea",
        ">> tea",
        ">>> x",
        "-- ",
        "--",
        "________",
        "```",
        "\x00",
        "\u2028",
        "From: a",
    ),
    *("From: Anna <a@b.c>", "Sent: Monday", "To: Bob", "Subject: tea", "Message-ID: <1@b.c>"),
    *("-----Original Message-----", "---------- Forwarded message ---------", "Anna wrote:"),
    *("On Mon, Feb 3, 2025 at 10:12 AM Anna <a@b.c> wrote:", "Am 3.2.25 schrieb", "<a@b.c>:"),
    *("Sent from my iPhone", "This e-mail is confidential, tell nobody what it says, not even me."),
    *("\N{RIGHT-TO-LEFT OVERRIDE}", "\xa0", "https://example.com", "1. item", "\r", "a\rb"),
]
TAGS = [
    *("<div>", "</div>", "<blockquote>", "</blockquote>", "<blockquote type=cite>", "<br>", "<!--"),
    *("<div class=gmail_quote>", "<div id=appendonsend>", "<div class=gmail_signature>", "<style>"),
    *("-->", "</style>", "<div class='", "&#1", "&amp;", "<p>", "<"),
]
lines = st.lists(st.sampled_from([*LINES, *WORDS]) | st.text(max_size=30), max_size=14)
texts = lines.map("\n".join)
htmls = st.none() | st.lists(st.sampled_from([*TAGS, *LINES, *WORDS]), max_size=20).map("".join)
subjects = st.sampled_from(["", "Re: tea", "Fwd: tea", "tea"]) | st.text(max_size=10)


def filled(*parts):
    """The lines that aren't blank, without blanks at the end of each."""
    broken = "\n".join(parts).replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return sorted(line.rstrip() for line in broken if line.strip())


@settings(deadline=None)
@given(texts, htmls, st.none() | texts, subjects)
def test_no_line_is_lost_or_written_twice(text, html, parent, subject):
    found = split(text, html, parent_text=parent, subject=subject)
    assert filled(found.extracted_text, found.quoted_text) == filled(text)
    if found.reply_method in (ReplyMethod.NONE, ReplyMethod.FORWARD):
        assert not found.quoted_text
    else:
        assert found.quoted_text


@settings(deadline=None)
@given(st.text())
def test_any_text_is_split(text):
    found = split(text, text, parent_text=text, subject=text)
    assert filled(found.extracted_text, found.quoted_text) == filled(text)


own_texts = st.lists(st.sampled_from(["", *WORDS]), max_size=6).map("\n".join)
quotes = st.sampled_from(
    [
        "On Mon, Feb 3, 2025 at 10:12 AM Anna <a@b.c> wrote:\n\n> tea?\n>\n> Anna",
        "Am 03.02.25 um 10:12 schrieb Anna:\n> Tee?",
        "____________\nVon: Anna\nGesendet: Montag\nAn: Bob\nBetreff: Tee\n\nTee?",
        "-----Original Message-----\nFrom: Anna\nSent: Monday\nTo: Bob\nSubject: tea\n\ntea?",
        "> tea?",
    ]
)


@settings(deadline=None)
@given(own_texts, quotes)
def test_what_stands_above_a_quote_is_extracted_whole_and_is_not_cut_again(own, quote):
    found = split(f"{own}\n\n{quote}", subject="Re: tea")
    assert found.extracted_text == own.strip("\n")
    assert split(found.extracted_text, subject="Re: tea").extracted_text == found.extracted_text


@settings(deadline=None)
@given(own_texts, own_texts)
def test_answers_between_quotes_are_extracted_in_order(first, second):
    text = f"Anna <a@b.c> wrote:\n> tea?\n\n{first}\n\n> cake?\n\n{second}"
    answers = [part for part in (first.strip("\n"), second.strip("\n")) if part]
    assert split(text, subject="Re: tea").extracted_text == "\n\n".join(answers)
