"""1 MB of the worst takes linear time: about 50 ms, where a quadratic step would take minutes."""

import time

import pytest

from receiving.reply_text import split

MB = 1 << 20
LIMIT = 3.0  # seconds of processor time, on a slow machine


def repeated(text):
    return (text * (MB // len(text) + 1))[:MB]


NUMBERED = "".join(f"this is line number {number} of a message\n" for number in range(MB // 30))[
    :MB
]
TEXTS = {
    **{name: repeated(name) for name in (">", "> > >", "On ", "From:", "-- ", "wrote:", "a", "@:")},
    **{name: repeated(name) for name in ("\xa0", "\u202e\u2066", "a\u200d", "\r", "mailto:", "İ ")},
    **{f"lines of {name}": repeated(f"{name}\n") for name in (">", "> > >", "On ", "wrote:", "@:")},
    **{
        f"lines of {name}": repeated(f"{name}\n") for name in ("From:", "To:", "-- ", "--", "", "a")
    },
    **{f"lines of {name}": repeated(f"{name}\n") for name in ("\xa0", "\u202ea", "```", "<a@b>:")},
    **{f"lines of {name}": repeated(f"{name}\n") for name in ("-----Original Message-----", "---")},
    "long attributions": repeated("On 2025 10:1 " * 40 + "wrote:\n"),
    "wrapped attributions": repeated("On 3 Feb 2025\nAnna\nBob\nwrote:\n"),
    "attributions without quotes": repeated("On 3 Feb 2025 10:12 wrote:\n\n\n"),
    "attributions and quotes": repeated("wrote:\n>\n"),
    "headers of a source": repeated("From: a@b\nTo:\nCc:\nMessage-ID:\n"),
    "headers without companions": repeated("From: a@b\nTo: x\n"),
    "digits": repeated("1" * 50 + ":\n"),
    "times": repeated("10:"),
    "wrapped quotes": repeated("> " + "a" * 70 + "\nb\n"),
    "footers": repeated("sent from my iphone\n"),
    "disclaimers": repeated("this message is confidential, " + "x" * 40 + "\n\n"),
    "prose": NUMBERED,
}
PARENTS = {
    "the same": (NUMBERED, NUMBERED),
    "nearly the same": (NUMBERED.replace("message", "massage"), NUMBERED),
    "long lines that nearly match": (repeated("a" * 60 + "b\n"), repeated("a" * 59 + "\n")),
    "longer lines": (repeated("ab" * 500 + "c\n"), repeated("ab")),
    "words that nearly match": (repeated("ab cd ef gh\n"), repeated("ab cd ef gi ")),
    "short lines": (repeated("ab\n"), repeated("a ")),
    "no words": (repeated("a" * 12 + "b\n"), repeated("a")),
    "one line": (repeated("a"), repeated("a")[:-1] + "b"),
}
HTMLS = {
    name: repeated(name)
    for name in (
        *(
            "<blockquote>",
            "<blockquote>a</blockquote>b",
            "<div>",
            "</div>",
            "<div class=gmail_quote",
        ),
        *("<div class=gmail_quote>", "<div class=gmail_quote>a<blockquote>b</blockquote>c", "<b>"),
        *(
            "<",
            "&amp;",
            "&#1",
            '<a b="',
            "<!--",
            "<!-->",
            "<style>",
            "<style></style>",
            "<title></",
        ),
        *("<!", "<p ></div x='", "<div><blockquote></div>", "&nbsp;", "hello world "),
    )
} | {
    "one huge reference": "&#" + "1" * MB,
    "attributes": "<div " + repeated("a=b "),
    "one long style": "<div style='" + repeated("border:none;border-top:solid ") + "'>",
    "classes": "<div class='" + repeated("a ") + "'>",
    "different quotes": "".join(f"<div class='gmail_attr a{n}'>" for n in range(MB // 20))[:MB],
    "different classes": "".join(f"<div class='a{number}'>" for number in range(MB // 20))[:MB],
}


def is_linear(*args, **given):
    start = time.process_time()
    split(*args, **given)
    return time.process_time() - start < LIMIT


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_is_split_in_linear_time(name):
    assert is_linear(TEXTS[name])


@pytest.mark.parametrize("name", PARENTS)
def test_a_parent_is_subtracted_in_linear_time(name):
    text, parent = PARENTS[name]
    assert is_linear(text, parent_text=parent)


@pytest.mark.parametrize("text", [NUMBERED, repeated("ab\n")], ids=["prose", "short lines"])
@pytest.mark.parametrize("name", HTMLS)
def test_html_is_read_in_linear_time(name, text):
    assert is_linear(text, HTMLS[name])


def test_all_evidence_together_takes_linear_time():
    html = f"<div class=gmail_quote>{NUMBERED}</div>"
    assert is_linear(NUMBERED.replace("message", "massage"), html, parent_text=NUMBERED)
