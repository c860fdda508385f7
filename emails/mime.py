"""From a row to the bytes on the wire (RFC 5322, RFC 2045-2047)."""

from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from django.utils import timezone

from emails import addresses
from emails.html import as_text
from emails.models import Email

ID_HEADER = "X-OpenSend-Email-ID"

# Lines of at most 998 octets (RFC 5321 section 4.5.3.1.6), everything else encoded to ASCII.
_POLICY = SMTP.clone(cte_type="7bit", max_line_length=78)


def build(email: Email) -> bytes:
    """The message as it is handed to the provider. Bcc is nowhere in it."""
    message = EmailMessage(policy=_POLICY)
    message["From"] = _list([email.sender])
    message["To"] = _list(email.to)
    if email.cc:
        message["Cc"] = _list(email.cc)
    if email.reply_to:
        message["Reply-To"] = _list(email.reply_to)
    message["Subject"] = email.subject
    message["Date"] = format_datetime(timezone.now())
    message["Message-ID"] = own_message_id(email)
    message[ID_HEADER] = str(email.pk)
    for name, value in email.headers.items():
        message[name] = value
    _fill(message, email)
    return message.as_bytes()


def own_message_id(email: Email) -> str:
    domain = addresses.parse(email.sender).domain
    return f"<{email.pk}@{domain}>"


def _list(mailboxes: list[str]) -> list[object]:
    return [addresses.for_header(addresses.parse(mailbox)) for mailbox in mailboxes]


def _fill(message: EmailMessage, email: Email) -> None:
    text = email.text or as_text(email.html)
    message.set_content(text or " ")
    if email.html:
        message.add_alternative(email.html, subtype="html")
