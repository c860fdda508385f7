"""From a row to the bytes on the wire (RFC 5322, RFC 2045-2047)."""

from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from django.utils import timezone

from emails.addresses import parse
from emails.headers import address_field, raw_field, text_field
from emails.html import as_text
from emails.models import Email

ID_HEADER = "X-OpenSend-Email-ID"

# Lines of at most 998 octets (RFC 5321 section 4.5.3.1.6), everything else encoded to ASCII.
_POLICY = SMTP.clone(cte_type="7bit", max_line_length=78)


def build(email: Email) -> bytes:
    """The message as it is handed to the provider. Bcc is nowhere in it."""
    content = EmailMessage(policy=_POLICY)
    _fill(content, email)
    fields = "".join(f"{each}\r\n" for each in _fields(email))
    return fields.encode("ascii") + content.as_bytes()


def own_message_id(email: Email) -> str:
    return f"<{email.pk}@{parse(email.sender).domain}>"


def _fields(email: Email) -> list[str]:
    given = (("To", email.to), ("Cc", email.cc), ("Reply-To", email.reply_to))
    return [
        address_field("From", [parse(email.sender)]),
        *(address_field(name, [parse(each) for each in boxes]) for name, boxes in given if boxes),
        text_field("Subject", email.subject),
        f"Date: {format_datetime(timezone.now())}",
        f"Message-ID: {own_message_id(email)}",
        f"{ID_HEADER}: {email.pk}",
        *(raw_field(name, value) for name, value in email.headers.items()),
    ]


def _fill(message: EmailMessage, email: Email) -> None:
    text = email.text or as_text(email.html)
    message.set_content(text or " ")
    if email.html:
        message.add_alternative(email.html, subtype="html")
