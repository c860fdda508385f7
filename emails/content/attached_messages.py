"""Attachments of type `message/*` and `multipart/*`, which must not be encoded (RFC 2046 5.2.1)."""

import re

from emails.content.sizes import base64_size

_COMPOSITE = re.compile(r"(?:message|multipart)/", re.IGNORECASE)
# The types that mail clients show; they consist of header fields, and for the first two a body.
_SHOWN = re.compile(
    r"message/(?:rfc822|global|delivery-status|disposition-notification|feedback-report)\s*(?:;|\Z)",
    re.IGNORECASE,
)
_FIELDS = re.compile(rb"(?:[!-9;-~]++[ \t]*+:[^\n]*+\n(?:[ \t][^\n]*+\n)*+)++(?:\n|\Z)")
_TOO_LONG = re.compile(rb"[^\n]{999}")


def is_composite(content_type: str) -> bool:
    return bool(_COMPOSITE.match(content_type))


def as_7bit(content_type: str, content: bytes) -> bytes | None:
    """The message as it may stand in another one, with lines that end in CRLF.

    None if it is no message, or needs an encoding: then it can only be a file of unknown type.
    Fragments and references to external bodies (RFC 2046 sections 5.2.2 and 5.2.3) always are.
    """
    if not _SHOWN.match(content_type) or not content.isascii() or b"\x00" in content:
        return None
    lines = content.replace(b"\r\n", b"\n")
    if b"\r" in lines or _TOO_LONG.search(lines) or not _FIELDS.match(_terminated(lines)):
        return None
    if len(lines) + lines.count(b"\n") > base64_size(len(content)):
        return None  # mostly empty lines: larger than the check of the size at accept assumes
    return lines.replace(b"\n", b"\r\n")


def _terminated(lines: bytes) -> bytes:
    return lines if lines.endswith(b"\n") else lines + b"\n"
