"""What a bounce means for a recipient: permanent or not, about the mailbox or about the message."""

import re
from collections.abc import Mapping
from typing import Any

from contacts.models import Suppression
from core.db.json_values import as_text
from ingest.ses_events.fields import canonical

PERMANENT = "Permanent"
_TYPES = (PERMANENT, "Transient", "Undetermined")
_UNSUBSCRIBED_RECIPIENT = "UnsubscribedRecipient"
_MAILBOX_FULL = "MailboxFull"
# They say nothing certain; only an enhanced status code can say that it is about the message.
_VAGUE = ("General", "Undetermined", "")
_SUBTYPES = (
    *(_MAILBOX_FULL, _UNSUBSCRIBED_RECIPIENT, *_VAGUE[:2], "NoEmail", "Suppressed"),
    *("OnAccountSuppressionList", "OnTenantSuppressionList", "EmailValidationSuppressed"),
    *("MessageTooLarge", "ContentRejected", "AttachmentRejected", "CustomTimeoutExceeded"),
)
_CANONICAL = {canonical(name): name for name in (*_TYPES, *_SUBTYPES)}

# An enhanced mail system status code (RFC 3463), but no part of an IP address or of a version.
_STATUS_CODE = re.compile(r"(?<![\d.])[245]\.(\d{1,3})\.(\d{1,3})(?!\.?\d)")
# RFC 3463 section 3: addressing, and mailbox status without "message length exceeds limit".
_ABOUT_MAILBOX = re.compile(r"1\.\d+|2\.(?!3$)\d+")
# The message is too big (X.2.3, X.3.4), its content or media (X.6), security or policy (X.7).
_ABOUT_MESSAGE = re.compile(r"2\.3|3\.4|[67]\.\d+")


def bounce_type(body: Mapping[str, Any]) -> str:
    """`Permanent`, `Transient` or `Undetermined`, in any case; another type as it is."""
    return _spelled(body.get("bounceType")) or "Undetermined"


def bounce_subtype(body: Mapping[str, Any]) -> str:
    return _spelled(body.get("bounceSubType"))


def suppression_origin(body: Mapping[str, Any], entry: Mapping[str, Any]) -> str:
    """A permanent bounce suppresses a recipient unless its own entry is temporary; "" for none."""
    status = as_text(entry.get("status")).strip()
    if bounce_type(body) != PERMANENT:
        return ""
    if canonical(entry.get("action")) == "delayed" or status.startswith("4."):
        return ""
    if bounce_subtype(body) == _UNSUBSCRIBED_RECIPIENT:
        return Suppression.Origin.UNSUBSCRIBED.value
    return Suppression.Origin.BOUNCE.value


def is_about_mailbox(body: Mapping[str, Any], entry: Mapping[str, Any]) -> bool:
    """Whether a soft bounce counts towards a suppression: not if it is about the message.

    A vague one counts, unless its status code blames the message. A subtype that says something
    else counts only if the status code blames the mailbox.
    """
    subtype = bounce_subtype(body)
    if subtype == _MAILBOX_FULL:
        return True
    code = _status_code(entry)
    if subtype in _VAGUE:
        return not _ABOUT_MESSAGE.fullmatch(code)
    is_known = subtype in _SUBTYPES
    return not is_known and bool(_ABOUT_MAILBOX.fullmatch(code))


def _status_code(entry: Mapping[str, Any]) -> str:
    """Subject and detail of the enhanced status code, such as `2.2`; "" if there is none."""
    for name in ("status", "diagnosticCode"):
        for subject, detail in _STATUS_CODE.findall(as_text(entry.get(name))):
            if int(subject):  # X.0.0 says nothing
                return f"{int(subject)}.{int(detail)}"
    return ""


def _spelled(value: Any) -> str:
    """An enumeration value as SES spells it."""
    text = as_text(value).strip()
    return _CANONICAL.get(canonical(value), text) if text else ""
