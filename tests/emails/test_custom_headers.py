"""Headers of the caller: each once, and written by the syntax of its name."""

import re
from email import message_from_bytes
from email.policy import SMTP

import pytest

from emails.content.headers import custom_field
from emails.models import Email
from emails.sending.loop import send_due

IDN = "https://bücher.example"
ASCII_IDN = "https://xn--bcher-kva.example"
WORD = "=?utf-8?b?w5w=?="  # Ü

WRITTEN = [
    # URLs are percent-encoded, hosts become A-labels, and missing angle brackets are added.
    ("List-Unsubscribe", "<https://x.example/ü>", "<https://x.example/%C3%BC>"),
    ("list-unsubscribe", "<https://x.example/?a==?b&c=%20>", "<https://x.example/?a==?b&c=%20>"),
    ("List-Unsubscribe", f"<{IDN}/a b>", f"<{ASCII_IDN}/a%20b>"),
    (
        "List-Unsubscribe",
        "<https://ü@bücher.example:8/>",
        "<https://%C3%BC@xn--bcher-kva.example:8/>",
    ),
    ("List-Unsubscribe", "https://x.example/a,b", "<https://x.example/a,b>"),
    (
        "List-Unsubscribe",
        "mailto:a@b.example, https://x.example/",
        "<mailto:a@b.example>, <https://x.example/>",
    ),
    (
        "List-Unsubscribe",
        "<mailto:ü@bücher.example?subject=ü>,<HTTPS://x.example>",
        "<mailto:%C3%BC@xn--bcher-kva.example?subject=%C3%BC>, <HTTPS://x.example>",
    ),
    (
        "List-Unsubscribe",
        "<https://x.example/=?utf-8?q?a?=>",
        "<https://x.example/=%3Futf-8?q?a?=>",
    ),
    ("List-Post", "NO (posting not allowed)", "NO (posting not allowed)"),
    ("List-Help", "<https://x.example/> (Ü)", f"<https://x.example/> ({WORD})"),
    ("Archived-At", "<https://x.example/ü>", "<https://x.example/%C3%BC>"),
    # Message ids
    ("References", "<a@x.example>,<b@x.example>", "<a@x.example> <b@x.example>"),
    ("In-Reply-To", "a@x.example", "<a@x.example>"),
    ("In-Reply-To", "<a@bücher.example>", "<a@xn--bcher-kva.example>"),
    ("References", "<a@x.example><b@x.example>\t<c>", "<a@x.example> <b@x.example> <c>"),
    ("In-Reply-To", "Your mail of Friday", "Your mail of Friday"),
    # Phrases
    ("List-ID", "Ü <list.x.example>", f"{WORD} <list.x.example>"),
    ("List-Id", '"Ü" <list.bücher.example>', f"{WORD} <list.xn--bcher-kva.example>"),
    ("List-Id", '"A, B" <list.x.example>', '"A, B" <list.x.example>'),
    ("List-Id", "list.x.example", "list.x.example"),
    # Mailboxes
    ("Disposition-Notification-To", "Ü <a@bücher.example>", f"{WORD} <a@xn--bcher-kva.example>"),
    ("Return-Receipt-To", '"A, B" <a@x.example>, c@x.example', '"A, B" <a@x.example>, c@x.example'),
    # Tokens
    ("Auto-Submitted", 'auto-replied; a="b"', 'auto-replied; a="b"'),
    ("Precedence", "bulk", "bulk"),
    ("Feedback-ID", "a:b:c:x", "a:b:c:x"),
    # Unstructured: text is encoded, what stands in angle brackets never is.
    ("X-Report", "Ü <https://x.example/ü> Ü", f"{WORD} <https://x.example/%C3%BC> {WORD}"),
    ("X-Report", "<a@x.example> Ü", f"<a@x.example> {WORD}"),
    ("X-Note", "Ü", WORD),
    ("X-Note", "I <3 you", "I <3 you"),
    ("Comments", "a <b> c", "a <b> c"),
    ("X-Empty", "", ""),
    ("References", " ", ""),
]

REFUSED = [
    ("List-Unsubscribe", "<unsubscribe>", "URLs such as"),
    ("List-Unsubscribe", "unsubscribe here ü", "must be ASCII"),
    ("List-Unsubscribe", "<https://x.example/", "between `<` and `>`"),
    ("List-Unsubscribe", "ü <https://x.example/>", "must be ASCII"),
    ("List-Unsubscribe", f"<https://x.example/{'u' * 1000}>", "998"),
    ("List-Unsubscribe", f"<https://x.example/{'ü' * 200}>", "998"),
    ("List-Unsubscribe", "<https://ü..example/>", "malformed domain"),
    ("List-Unsubscribe", "=?utf-8?q?=3Chttps=3A//x.example/=3E?= <ü>", "URLs such as"),
    ("List-Archive", "<https://x.example/> <", "between `<` and `>`"),
    ("References", "<ü@x.example>", "non-ASCII"),
    ("References", "<" + "a" * 1000 + "@x.example>", "998"),
    ("In-Reply-To", "Grüße", "must be ASCII"),
    ("List-ID", "Ü", "must be ASCII"),
    ("List-ID", "a <b> c <d>", "must end"),
    ("Auto-Submitted", "ja, natürlich", "must be ASCII"),
    ("Precedence", "ü", "must be ASCII"),
    ("Feedback-ID", "ü:x", "must be ASCII"),
    ("X-Priority", "1 (höchste)", "must be ASCII"),
    ("Expires", "1. März", "must be ASCII"),
    ("Disposition-Notification-To", "yes", "not an email address"),
    ("Disposition-Notification-To", ", ", "must have an email address"),
    ("X-Report", "<https://x.example/" + "u" * 1000 + ">", "998"),
    ("X-Report", "ü <ü@x.example>", "non-ASCII"),
]


def unfolded(field):
    assert field.isascii()
    assert max(map(len, field.split("\r\n"))) <= 998
    assert not re.search(r"\r\n(?![ \t])", field)
    return field.replace("\r\n", "")


@pytest.mark.parametrize(("name", "value", "written"), WRITTEN)
def test_a_header_is_written_by_its_syntax(name, value, written):
    assert unfolded(custom_field(name, value)) == f"{name}: {written}".strip()


@pytest.mark.parametrize(("name", "value", "problem"), REFUSED)
@pytest.mark.django_db
def test_what_a_syntax_cannot_hold_is_refused_at_accept(send, name, value, problem):
    answer = send(headers={"X-Good": "x", name: value})

    assert answer.status_code == 422, answer.json()
    ((path, message),) = answer.json()["details"]["fields"].items()
    assert path == f"headers.{name}"
    assert problem in message


def test_a_long_phrase_never_ends_the_header_block():
    field = custom_field("List-ID", "Ü" * 300 + " <list.x.example>")

    message = message_from_bytes(f"{field}\r\nX-Next: 1\r\n\r\n".encode(), policy=SMTP)
    assert unfolded(field).endswith("<list.x.example>")
    assert message["List-ID"].startswith("Ü" * 300)
    assert message["X-Next"] == "1"


SPELLINGS = [
    ("References", "references"),
    ("List-Unsubscribe", "LIST-UNSUBSCRIBE"),
    ("In-Reply-To", "In-reply-to"),
    ("X-Order", "x-order"),
    ("Comments", "comments"),
    ("X-OpenSend-Unsubscribe", "x-opensend-unsubscribe"),
]


@pytest.mark.parametrize(("one", "other"), SPELLINGS)
@pytest.mark.django_db
def test_one_header_in_two_spellings_is_refused_by_both_names(send, one, other):
    answer = send(headers={one: "true", other: "true"})

    assert answer.status_code == 422
    ((path, problem),) = answer.json()["details"]["fields"].items()
    assert path == f"headers.{other}"
    assert f"`{one}`" in problem


@pytest.mark.parametrize(
    "name",
    [
        *("X-SES-CONFIGURATION-SET", "x-ses-message-tags", "X-SES-SOURCE-ARN", "X-Ses-From-Arn"),
        *("X-SES-RETURN-PATH-ARN", "X-SES-LIST-MANAGEMENT-OPTIONS", "X-SES-TENANT", "Bcc"),
        *("Resent-Bcc", "resent-to", "Delivered-To", "Return-Path", "Authentication-Results"),
        *("ARC-Seal", "DomainKey-Signature", "Received-SPF", "X-SMTPAPI", "x-msys-api"),
        *("X-Mailgun-Recipient-Variables", "X-PM-Message-Stream", "X-MC-Subaccount"),
        *("X-MJ-TemplateID", "X-Mailjet-Campaign", "X-Mailin-Tag", "X-SIB-API"),
    ],
)
@pytest.mark.django_db
def test_headers_that_servers_act_upon_are_refused(send, name):
    answer = send(headers={name: "x"})

    assert answer.status_code == 422
    assert "set by the platform" in answer.json()["details"]["fields"][f"headers.{name}"]


@pytest.mark.django_db
def test_headers_leave_as_they_were_checked(send, accepted, provider):
    email = accepted(headers={"List-Unsubscribe": f"<{IDN}/ü>", "In-Reply-To": "a@x.example"})
    Email.objects.update(next_attempt_at="2026-01-01T00:00Z")
    send_due()

    message = message_from_bytes(provider.sent[0].mime, policy=SMTP)
    assert message["List-Unsubscribe"] == f"<{ASCII_IDN}/%C3%BC>"
    assert message["In-Reply-To"] == "<a@x.example>"
    assert email.headers["In-Reply-To"] == "a@x.example"  # the row is as the caller wrote it


@pytest.mark.django_db
def test_a_header_that_an_earlier_version_accepted_fails_for_good(accepted, provider):
    email = accepted()
    Email.objects.update(headers={"Precedence": "ü"}, next_attempt_at="2026-01-01T00:00Z")
    send_due()

    email.refresh_from_db()
    assert (email.status, provider.sent) == ("failed", [])
    assert "The header Precedence must be ASCII" in email.last_error
