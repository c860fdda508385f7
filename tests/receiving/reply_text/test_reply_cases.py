"""Replies as clients write them. The bar: 97 % of the cases exactly, each miss with a reason."""

from collections import Counter

import pytest

from receiving.reply_text import split
from tests.receiving.reply_text.reply_cases import read_cases, trimmed

CASES = read_cases()
BAR = 0.97
MISSES = {
    "en-html-bottom-outlook-plain": "what is below copied headers is the quote, unless we know the "
    "parent: nothing tells where an answer below it starts",
    "en-shell-prompt-in-reply": "a prompt looks like a quote mark",
    "en-supercite": "quote marks with the author's name look like the '>' of prose and code",
    "it-pec": "headers without colons are words like any others",
}
LANGUAGES = ["de", "en", "es", "fr", "it", "ja", "nl", "pl", "pt", "sv"]


def extracted(case):
    found = split(case.text, case.html, parent_text=case.parent, subject=case.subject)
    return trimmed(found.extracted_text)


def missed():
    return [case.name for case in CASES if extracted(case) != trimmed(case.expected)]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_the_sender_wrote_is_extracted_unless_the_miss_is_listed(case):
    if case.name in MISSES:
        assert extracted(case) != trimmed(case.expected), "no longer a miss: take it off the list"
    else:
        assert extracted(case) == trimmed(case.expected)


def test_the_bar_is_reached():
    assert len(missed()) <= (1 - BAR) * len(CASES)


def test_every_listed_miss_is_a_case():
    assert set(MISSES) <= {case.name for case in CASES}


def test_there_are_enough_cases_in_every_language():
    count = Counter(case.language for case in CASES)
    assert len(CASES) >= 200
    assert len({case.name for case in CASES}) == len(CASES)
    assert all(count[language] >= 15 for language in LANGUAGES)


@pytest.mark.parametrize(
    "client",
    [
        *("Gmail web", "Gmail Android", "Gmail iOS", "Outlook desktop", "Outlook web"),
        *("Outlook iOS", "Outlook Android", "Outlook Mac", "Apple Mail Mac", "Apple Mail iPhone"),
        *("Thunderbird", "Yahoo", "Proton", "K-9", "mutt", "Gnus", "Pine"),
    ],
)
def test_every_client_has_a_case(client):
    assert client in {case.client for case in CASES}
