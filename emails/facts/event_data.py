"""The `data` of the email.* events."""

from typing import Any

from core.times import iso
from emails.models import Email


def build_event_data(email: Email, *, recipient: str = "", **more: Any) -> dict[str, Any]:
    """A complete snapshot of the email, plus `more`: the sub-objects of the event type."""
    data: dict[str, Any] = {
        "email_id": str(email.pk),
        "message_id": email.message_id,
        "created_at": iso(email.created_at),
        "from": email.sender,
        "to": email.to,
        "subject": email.subject,
        "tags": email.tags,
    }
    if email.cc:
        data["cc"] = email.cc
    if email.bcc:
        data["bcc"] = email.bcc
    if recipient:
        data["recipient"] = recipient
    return data | more
