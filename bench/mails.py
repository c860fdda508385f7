"""Typical customer mail, as an API request and as SES reports it."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

SENDER = "Acme <hello@demo.opensend.test>"
SUBJECT = "Your order {number} is on its way"
TEXT = "Hello {name},\n\nyour order {number} has left our house today.\n\n" + (
    "You can follow it at https://shop.example.com/orders/{number} whenever you like.\n" * 8
)
HTML = (
    "<!doctype html><html><body><h1>Hello {name}</h1><p>Your order {number} has left our house "
    'today.</p><table role="presentation">'
    + '<tr><td style="padding:8px 12px;font-family:sans-serif">One fine thing</td>'
    '<td align="right">1 x 19.90</td></tr>'
    * 12
    + '</table><p><a href="https://shop.example.com/orders/{number}">Follow it</a></p></body>'
)


@dataclass(frozen=True, slots=True)
class MailRef:
    """The fields of a mail that events contain."""

    id: UUID
    number: int
    provider_message_id: str
    sender: str = SENDER

    @property
    def address(self) -> str:
        return address(self.number)


def address(number: int) -> str:
    return f"customer-{number}@example-{number % 50}.com"


def api_body(number: int) -> dict[str, Any]:
    """The body of `POST /emails`."""
    values = {"name": f"Customer {number}", "number": number}
    return {
        "from": SENDER,
        "to": [f"Customer {number} <{address(number)}>"],
        "subject": SUBJECT.format(**values),
        "html": HTML.format(**values),
        "text": TEXT.format(**values),
        "tags": [{"name": "campaign", "value": "welcome"}],
        "headers": {"List-Unsubscribe": f"<https://shop.example.com/unsubscribe/{number}>"},
    }


def wire_headers(mail: MailRef) -> bytes:
    """The header block that SES includes in its events."""
    boundary = "=" * 15 + f"{mail.number:019d}=="
    lines = [
        f"From: {mail.sender}",
        f"To: Customer {mail.number} <{mail.address}>",
        f"Subject: {SUBJECT.format(number=mail.number)}",
        "Date: Mon, 02 Nov 2026 10:00:00 +0000",
        f"Message-ID: <{mail.id}@demo.opensend.test>",
        f"X-OpenSend-Email-ID: {mail.id}",
        f"List-Unsubscribe: <https://shop.example.com/unsubscribe/{mail.number}>",
        "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
        "Reply-To: Acme Support <support@demo.opensend.test>",
        "MIME-Version: 1.0",
        f'Content-Type: multipart/alternative; boundary="{boundary}"',
    ]
    return "\r\n".join([*lines, "", ""]).encode()
