"""Attached messages are never encoded (RFC 2046 section 5.2.1), or they are plain files."""

from base64 import b64encode
from email import message_from_bytes
from email.policy import default

import pytest

from emails.content.attached_messages import as_7bit
from emails.models import Email
from emails.sending.loop import send_due

NESTED = (
    b"From: a@x.example\r\nSubject: Nested\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    b"--b\r\nContent-Transfer-Encoding: base64\r\n\r\naGk=\r\n--b--\r\n"
)
STATUS = b"Reporting-MTA: dns; x.example\r\n\r\nFinal-Recipient: rfc822; a@x.example\r\n"

AS_THEY_ARE = [
    ("message/rfc822", NESTED),
    ("Message/RFC822; name=a.eml", NESTED),
    ("message/rfc822", NESTED.replace(b"\r\n", b"\n")),
    ("message/rfc822", b"Subject: no body"),
    ("message/rfc822", b"Subject: folded\r\n line\r\n\r\n"),
    ("message/delivery-status", STATUS),
    ("message/disposition-notification", b"Final-Recipient: rfc822;a@x.example\r\n"),
    ("message/feedback-report", b"Feedback-Type: abuse\r\nUser-Agent: x\r\nVersion: 1\r\n"),
    ("message/global", NESTED),
]
AS_FILES = [
    ("message/rfc822", "Subject: Ü\r\n\r\n".encode()),
    ("message/rfc822", b"Subject: x\r\n\r\n" + "Ü".encode("latin-1")),
    ("message/rfc822", b"Subject: x\r\n\r\n" + b"l" * 999),
    ("message/rfc822", b"Subject: x\r\n\r\na\rb"),
    ("message/rfc822", b"Subject: x\r\n\r\na\x00b"),
    ("message/rfc822", b"no header\r\n\r\nbody"),
    ("message/rfc822", b"From a@x.example Sat Jan  1\nSubject: x\n\nmbox"),
    ("message/rfc822", b"%PDF-1.7"),
    ("message/rfc822", b""),
    ("message/rfc822", b"Subject: x\r\n\r\n" + b"\n" * 10_000),
    ("message/partial; id=a; number=1; total=2", NESTED),
    ("message/external-body; access-type=local-file", NESTED),
    ("message/http", NESTED),
    ("message/rfc822x", NESTED),
    ("multipart/mixed; boundary=b", b"--b\r\n\r\nx\r\n--b--\r\n"),
    ("multipart/signed", NESTED),
]


@pytest.fixture
def attached(accepted, provider, settings, tmp_path):
    """`attached(type, content)`: the part of the sent message, and its bytes on the wire."""
    settings.BLOB_STORE = str(tmp_path)

    def send(content_type, content, **more):
        file = {"filename": "a.eml", "content": b64encode(content).decode()}
        email = accepted(attachments=[file | {"content_type": content_type} | more])
        Email.objects.update(next_attempt_at="2026-01-01T00:00Z")
        send_due()
        (row,) = email.attachments.all()
        assert row.content_type == content_type  # the API shows what the caller gave
        raw = provider.sent[0].mime
        assert raw.isascii()
        message = message_from_bytes(raw, policy=default)
        assert not [part.defects for part in message.walk() if part.defects]
        (part,) = message.iter_attachments()
        return part, raw

    return send


@pytest.mark.parametrize(("content_type", "content"), AS_THEY_ARE)
@pytest.mark.django_db
def test_a_message_is_attached_as_it_is(attached, content_type, content):
    part, raw = attached(content_type, content)

    assert part["Content-Type"].content_type == content_type.partition(";")[0].lower()
    assert part["Content-Transfer-Encoding"] == "7bit"
    assert part.get_filename() == "a.eml"
    canonical = content.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    assert b"\r\n\r\n" + canonical + b"\r\n--" in raw


@pytest.mark.parametrize(("content_type", "content"), AS_FILES)
@pytest.mark.django_db
def test_anything_else_is_attached_as_a_file(attached, content_type, content):
    part, _ = attached(content_type, content)

    assert part.get_content_type() == "application/octet-stream"
    assert part["Content-Transfer-Encoding"] == "base64"
    assert (part.get_filename(), part.get_content()) == ("a.eml", content)


@pytest.mark.django_db
def test_the_attached_message_can_be_read(attached):
    part, _ = attached("message/rfc822", NESTED)

    nested = part.get_content()
    assert nested["Subject"] == "Nested"
    assert nested.get_payload()[0].get_payload(decode=True) == b"hi"


def test_a_large_message_takes_linear_time():
    fields = b"X-A: b\n c\n" * 200_000

    assert as_7bit("message/rfc822", fields) == fields.replace(b"\n", b"\r\n")
    assert as_7bit("message/rfc822", fields + b"x") is None
