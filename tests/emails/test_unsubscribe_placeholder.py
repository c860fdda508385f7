"""The unsubscribe placeholder, as people and HTML editors write it: replaced, or refused."""

from email import message_from_bytes
from email.policy import default
from time import process_time

import pytest

from emails.content.html_to_text import html_to_text
from emails.content.placeholder import (
    UNSUBSCRIBE_URL,
    has_placeholder,
    misspelt_placeholder,
    replace_placeholder,
)
from emails.models import Email
from emails.sending.loop import send_due

SPELLINGS = [
    UNSUBSCRIBE_URL,
    "%7B%7B%7BOPENSEND_UNSUBSCRIBE_URL%7D%7D%7D",
    "%7b%7b%7bOPENSEND%5FUNSUBSCRIBE%5FURL%7d%7d%7d",
    "{{{ OPENSEND_UNSUBSCRIBE_URL }}}",
    "%7B%7B%7B%20OPENSEND_UNSUBSCRIBE_URL%20%7D%7D%7D",
    "{{{&nbsp;OPENSEND_UNSUBSCRIBE_URL\n}}}",
    "{{{opensend_unsubscribe_url}}}",
    "{OPENSEND_UNSUBSCRIBE_URL}",
    "{{OPENSEND_UNSUBSCRIBE_URL}}",
    "{{{{OPENSEND_UNSUBSCRIBE_URL}}}}",
    "{{OPENSEND_UNSUBSCRIBE_URL}}}",
    "&#123;&#123;&#123;OPENSEND_UNSUBSCRIBE_URL&#125;&#125;&#125;",
    "&#x7B;&#x7b;&#x007B;OPENSEND&#95;UNSUBSCRIBE_URL&#x7D;&#x7D;&#x7D;",
    "&lcub;&lbrace;OPENSEND_UNSUBSCRIBE_URL&rcub;&rbrace;",
    "http://{{{OPENSEND_UNSUBSCRIBE_URL}}}",
    "https://%7B%7B%7BOPENSEND_UNSUBSCRIBE_URL%7D%7D%7D",
    "\\{\\{\\{OPENSEND\\_UNSUBSCRIBE\\_URL\\}\\}\\}",
    "{{{RESEND_UNSUBSCRIBE_URL}}}",
]
MISSPELT = [
    "OPENSEND_UNSUBSCRIBE_URL",
    "[OPENSEND_UNSUBSCRIBE_URL]",
    "%OPENSEND_UNSUBSCRIBE_URL%",
    "*|OPENSEND_UNSUBSCRIBE_URL|*",
    "{{{<b>OPENSEND_UNSUBSCRIBE_URL</b>}}}",
    f"{UNSUBSCRIBE_URL} and opensend_unsubscribe_url",
    "{{{OPENSEND_UNSUBSCRIBE}}}",
    "{{{OPENSEND_UNSUBSCRIBE_LINK}}}",
    "{{OPENSEND-UNSUBSCRIBE-URL}}",
    "{{{ opensend.unsubscribe_url }}}",
    "{{{OPEN_SEND_UNSUBSCRIBE_URL}}}",
    "{{{OPENSEND_UNSUSCRIBE_URL}}}",
    "%7B%7B%7B%20OPENSEND%20UNSUBSCRIBE%20URL%7D%7D%7D",
    "&#123;&#123;&nbsp;OPENSEND_<wbr>UNSUBSCRIBE_URL&#125;&#125;",
    "{{{RESEND_UNSUBSCRIBEURL}}}",
]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_spelling_is_replaced(spelling):
    html = f'<a href="{spelling}">Leave</a>{spelling}'

    assert has_placeholder(html)
    assert replace_placeholder(html, "https://u.example/t") == (
        '<a href="https://u.example/t">Leave</a>https://u.example/t'
    )


@pytest.mark.parametrize("part", ["html", "text"])
@pytest.mark.parametrize("spelling", [SPELLINGS[1], SPELLINGS[6], SPELLINGS[11]])
@pytest.mark.django_db
def test_any_spelling_adds_one_click_unsubscribe(accepted, provider, part, spelling):
    content = f'<a href="{spelling}">Leave</a>' if part == "html" else f"Leave: {spelling}"
    email = accepted(**{part: content})
    Email.objects.update(next_attempt_at="2026-01-01T00:00Z")
    send_due()

    assert email.unsubscribe
    message = message_from_bytes(provider.sent[0].mime, policy=default)
    url = message["List-Unsubscribe"].strip("<>")
    kind = "html" if part == "html" else "plain"
    assert url in message.get_body((kind,)).get_content()
    assert "UNSUBSCRIBE" not in message.as_string().upper().replace("LIST-UNSUBSCRIBE", "")


@pytest.mark.parametrize("field", ["html", "text"])
@pytest.mark.parametrize("content", MISSPELT)
@pytest.mark.django_db
def test_what_would_be_sent_as_it_is_is_refused_with_the_right_spelling(send, field, content):
    answer = send(**{field: content})

    assert answer.status_code == 422
    assert f"the placeholder is `{UNSUBSCRIBE_URL}`" in answer.json()["details"]["fields"][field]


@pytest.mark.parametrize(
    "changes",
    [
        {"subject": UNSUBSCRIBE_URL},
        {"subject": "Leave: %7B%7BOPENSEND_UNSUBSCRIBE_URL%7D%7D"},
        {"headers": {"List-Unsubscribe": f"<{UNSUBSCRIBE_URL}>"}},
        {"headers": {"X-Link": "{{opensend_unsubscribe_url}}"}},
    ],
)
@pytest.mark.django_db
def test_it_belongs_into_html_or_text_only(send, changes):
    answer = send(**changes)

    assert answer.status_code == 422
    ((path, problem),) = answer.json()["details"]["fields"].items()
    assert path.partition(".")[0] in changes
    assert "belongs into `html` or `text`" in problem


@pytest.mark.parametrize(
    "text",
    [
        *("unsubscribe", "Opensend", "{{{NAME}}}", "Unsubscribe: opensend.example"),
        *("OpenSend unsubscribe URLs", "a {b} OpenSend-unsubscribe", "{{{SENDER_UNSUBSCRIBE}}}"),
        "We resend unsubscribe mails to {{NAME}}.",
    ],
)
def test_other_text_is_no_placeholder(text):
    assert not has_placeholder(text)
    assert not misspelt_placeholder(text)
    assert replace_placeholder(text, "x") == text


@pytest.mark.parametrize(
    "piece",
    [
        *("{", "%7B", "&#123;", "{ ", "{{{OPENSEND_UNSUBSCRIBE_"),
        *("{{OPENSEND_<", "OPENSEND<", "opensend_unsu"),
    ],
)
def test_the_search_takes_linear_time(piece):
    text = "opensend unsubscribe" + piece * (300_000 // len(piece))
    started = process_time()

    assert not has_placeholder(text)
    misspelt_placeholder(text)
    assert process_time() - started < 3


def test_the_generated_text_keeps_the_placeholder():
    assert html_to_text(f'<a href="{UNSUBSCRIBE_URL}">Leave</a>') == f"Leave ({UNSUBSCRIBE_URL})"


@pytest.mark.django_db
def test_its_urls_count_in_the_size(send):
    """40,000 placeholders of a message of 1.2 MB would become URLs of up to 40 MiB."""
    answer = send(html=UNSUBSCRIBE_URL * 40_000)

    assert answer.status_code == 422
    assert "40 MiB" in answer.json()["details"]["fields"]["html"]
