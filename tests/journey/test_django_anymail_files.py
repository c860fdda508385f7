"""Files that Django programs attach arrive through anymail's Resend backend."""

import email
import email.policy
from base64 import b64decode

import pytest

from tests.journey.product import wait_until
from tests.journey.test_django_anymail import Shop

ATTACH = """
import sys, django
django.setup()
from pathlib import Path
from django.core.mail import EmailMessage
message = EmailMessage("Files", "See the files", to=[sys.argv[1]])
for name in sys.argv[2:]:
    message.attach_file(name)
message.send()
print(message.anymail_status.message_id)
"""
CALENDAR = "BEGIN:VCALENDAR\r\nSUMMARY:Prüfung\r\nEND:VCALENDAR\r\n"
FORWARDED = (
    "From: ann@example.com\r\nTo: bob@example.com\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n"
    "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
    "Content-Transfer-Encoding: 8bit\r\n\r\nGrüße\r\n"
)


@pytest.fixture
def attached(tmp_path, product, somebody):
    """`attached(name=content, ...)`: the parts with a file name in the mail that arrives."""

    def send(files):
        shop, to = Shop(tmp_path, product), somebody()
        for name, content in files.items():
            (tmp_path / name).write_bytes(content)
        assert shop.run(ATTACH, to, *files)
        (message,) = wait_until(lambda: product.twin("mail", recipient=to), what="the mail")
        raw = b64decode(message["raw_base64"])
        read = email.message_from_bytes(raw, policy=email.policy.default)
        return {part.get_filename(): part for part in read.walk() if part.get_filename()}

    return send


def test_a_calendar_and_other_texts(attached):
    files = {"invite.ics": CALENDAR.encode(), "a.csv": b"a,b\n", "a.bin": bytes(range(256))}
    parts = attached(files)
    assert {name: part.get_payload(decode=True) for name, part in parts.items()} == files
    assert parts["invite.ics"].get_content_type() == "text/calendar"


def test_a_message_is_forwarded_as_a_file(attached):
    part = attached({"mail.eml": FORWARDED.encode()})["mail.eml"]
    if part.get_content_type() == "message/rfc822":
        (inner,) = part.get_payload()
    else:
        inner = email.message_from_bytes(part.get_payload(decode=True), policy=email.policy.default)
    assert (inner["Subject"], inner["From"]) == ("Grüße", "ann@example.com")
    assert inner.get_content().strip() == "Grüße"
