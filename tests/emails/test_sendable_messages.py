"""Nothing that the API accepts is unsendable by its form: it is built, and parses back the same."""

import re
from base64 import b64decode
from email import message_from_bytes
from email.header import decode_header, make_header
from email.policy import SMTP
from email.utils import getaddresses

import pytest
import requests
from hypothesis import example, given, settings
from hypothesis import strategies as st

from core import aws
from core.db.ids import uuid7
from core.errors import DomainError
from emails.api.bodies import SendEmail
from emails.content.mime import build
from emails.models import Email
from emails.providers import get_provider
from emails.sending.loop import send_due

NAMES = st.one_of(
    st.text(st.sampled_from('<>"\\,;:@()[].=? aÜé漢\u0301\N{GRINNING FACE}'), max_size=40),
    st.text(st.characters(codec="utf-8"), max_size=60),
)
DOMAINS = st.sampled_from(["example.com", "bücher.example", "例え.テスト", "a-b.c_d.example"])
LOCALS = st.from_regex(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,20}(\.[a-z]{1,5})?", fullmatch=True)
MAILBOXES = st.builds(
    lambda name, form, local, domain: form.format(name=name, address=f"{local}@{domain}"),
    NAMES,
    st.sampled_from(
        ["{name} <{address}>", '"{name}" <{address}>', "{name}<{address}>", "{address}"]
    ),
    LOCALS,
    DOMAINS,
)
SYNTAXES = st.sampled_from(
    [
        *("List-Unsubscribe", "List-Post", "References", "In-Reply-To", "List-ID", "Precedence"),
        *("Disposition-Notification-To", "Feedback-ID", "Auto-Submitted", "Comments", "Keywords"),
        *("X-Custom", "Organization", "Expires", "Archived-At", "Thread-Topic"),
    ]
)
VALUES = st.one_of(
    st.text(st.sampled_from("<>@:/,()\"' =?uaÜ漢"), max_size=60),
    st.sampled_from(
        ["<https://x.example/ü>", "<a@bücher.example>", "=?utf-8?q?a?= <=?utf-8?q?b?=>"]
    ),
    st.text(st.characters(codec="utf-8"), max_size=300),
    st.integers(900, 1100).map(lambda length: f"<https://x.example/{'u' * length}>"),
)
BODIES = st.fixed_dictionaries(
    {
        "from": MAILBOXES,
        "to": st.lists(MAILBOXES, min_size=1, max_size=3),
        "subject": st.text(st.characters(codec="utf-8"), min_size=1, max_size=998) | VALUES,
        "text": st.just("x"),
    },
    optional={
        "cc": st.lists(MAILBOXES, max_size=2),
        "reply_to": st.lists(MAILBOXES, max_size=2),
        "headers": st.dictionaries(SYNTAXES, VALUES, max_size=4),
    },
)


def row(body):
    message = body.to_message()
    return Email(
        id=uuid7(),
        sender=str(message.sender),
        to=[str(box) for box in message.to],
        cc=[str(box) for box in message.cc],
        reply_to=[str(box) for box in message.reply_to],
        subject=message.subject,
        text=message.text,
        headers=dict(message.headers),
    )


def check(raw, body):
    head, _, _ = raw.partition(b"\r\n\r\n")
    assert raw.isascii()
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", raw)
    # Neither within angle brackets nor in an address.
    for value in re.findall(rb"^(?:From|To|Cc|Reply-To): (?:.|\r\n[ \t])*", head, re.MULTILINE):
        assert not re.search(rb"<[^>]*=\?[^>]*\?[bq]\?[^>]*\?=[^>]*>", value, re.IGNORECASE)
    message = message_from_bytes(raw, policy=SMTP)
    assert not message.defects
    assert message["Subject"] == body.subject or decoded(message, raw, "Subject") == body.subject
    fields = {"From": [body.sender], "To": body.to, "Cc": body.cc, "Reply-To": body.reply_to}
    for name, boxes in fields.items():
        expected = [box.address for box in boxes]
        assert [each.addr_spec for each in getattr(message[name], "addresses", ())] == expected
        plain = getaddresses([compat(raw)[name] or ""])
        assert [(str(make_header(decode_header(n))), a) for n, a in plain if a] == [
            (box.name, box.address) for box in boxes
        ]
    names = [name.lower() for name in message]
    assert len(set(names)) == len(names)
    assert {name.lower() for name in body.headers} <= set(names)


def compat(raw):
    return message_from_bytes(raw)


def decoded(message, raw, name):
    return str(make_header(decode_header(compat(raw)[name].replace("\r\n", ""))))


@settings(deadline=None, max_examples=400)
@given(BODIES)
@example({"from": "I <3 Mail <j@x.example>", "to": ["<b@x.example>"], "subject": "x", "text": "x"})
@example(
    {"from": '"<x@y>" <j@x.example>', "to": ["a b@c <b@x.example>"], "subject": "=?", "text": "x"}
)
def test_what_is_accepted_can_be_sent_and_parses_back(data):
    try:
        body = SendEmail.parse(data)
    except DomainError:
        return
    check(build(row(body)), body)


@pytest.fixture
def ses(s3_twin, aws_at):
    """The stand-in for SES, through the provider's real client."""
    s3_twin.reset()
    aws_at(s3_twin.url)
    get_provider.cache_clear()
    client = aws.ses("us-east-1")
    client.create_email_identity(EmailIdentity="example.com")
    client.get_email_identity(EmailIdentity="example.com")
    client.create_configuration_set(ConfigurationSetName="opensend")
    yield client
    client.close()


FIELDS = {"sender": "From", "to": "To", "cc": "Cc", "reply_to": "Reply-To"}
NAMED = [
    "I <3 Mail",
    "a > b",
    "<admin@other.test>",
    'Ada "the <Countess>" Lovelace',
    "Müller, <Jürgen>",
    "back\\slash",
    "(comment) <",
    "a;b:c@d",
    "'single' \"double\"",
]


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.django_db
def test_names_with_specials_are_sent(ses, s3_twin, accepted, name, field):
    address = "ada@example.com"
    email = accepted(**{field: f"{name} <{address}>"})
    Email.objects.update(next_attempt_at="2026-01-01T00:00Z")
    send_due()

    email.refresh_from_db()
    assert (email.status, email.last_error) == ("sent", "")
    (mail,) = requests.get(f"{s3_twin.url}/_twin/mail", timeout=5).json()
    message = message_from_bytes(b64decode(mail["raw_base64"]), policy=SMTP)
    (box,) = message[FIELDS[field]].addresses
    assert (box.display_name, box.addr_spec) == (name, address)
