"""Messages as bytes: reading headers, the copy that goes over the wire, building simple ones."""

import base64
import binascii
import re
from dataclasses import dataclass
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate
from typing import Any

from twin.aws import AwsError

_FIELD_NAME = re.compile(rb"[\x21-\x39\x3b-\x7e]+")
_END_OF_HEADERS = re.compile(rb"\r?\n\r?\n")
# SES writes its own Message-ID and Date; Bcc must not reach the other recipients.
_REPLACED = {"message-id", "date", "bcc", "return-path"}
# AWS SES guide, "Amazon SES header fields".
_SINGLE = {
    *("from", "sender", "reply-to", "to", "cc", "bcc", "subject", "date", "message-id"),
    *("return-path", "mime-version", "content-type", "content-transfer-encoding"),
    *("in-reply-to", "references", "comments", "keywords", "auto-submitted", "precedence"),
    *("list-archive", "list-help", "list-id", "list-owner", "list-post", "list-subscribe"),
    *("list-unsubscribe", "list-unsubscribe-post", "archived-at", "organization", "priority"),
    *("importance", "sensitivity", "disposition-notification-to", "return-receipt-to"),
    *("delivered-to", "errors-to", "user-agent", "thread-index", "thread-topic"),
}


@dataclass(frozen=True, slots=True)
class Header:
    """`lines` are the bytes as they came, folds and line ends included; `value` is unfolded."""

    name: str
    value: str
    lines: bytes


@dataclass(frozen=True, slots=True)
class Message:
    headers: list[Header]
    raw: bytes
    body_start: int

    def get(self, name: str) -> str | None:
        wanted = name.lower()
        for header in self.headers:
            if header.name.lower() == wanted:
                return header.value
        return None


def read_message(raw: bytes) -> Message:
    """Read the header block (RFC 5322, section 2.2), or raise as SES does."""
    end = _END_OF_HEADERS.search(raw)
    block = raw if end is None else raw[: end.start()]
    headers = [_read_header(lines) for lines in _unfolded(block)]
    seen: set[str] = set()
    for header in headers:
        name = header.name.lower()
        if name in seen and name in _SINGLE:
            raise _bad(f"Duplicate header '{header.name}'.")
        seen.add(name)
    if "from" not in seen:
        raise _bad("Missing required header 'From'.")
    return Message(headers, raw, len(raw) if end is None else end.end())


def wire_copy(message: Message, *, message_id: str, now: float) -> bytes:
    """The message as recipients get it: Message-ID and Date are SES's own, Bcc is gone."""
    kept = b"".join(each.lines for each in message.headers if each.name.lower() not in _REPLACED)
    own = f"Message-ID: <{message_id}>\r\nDate: {formatdate(now)}\r\n"
    return kept + own.encode() + b"\r\n" + message.raw[message.body_start :]


def decoded(value: str) -> str:
    """A header's text with its encoded words (RFC 2047) resolved, as far as they can be."""
    if "=?" not in value:
        return value
    try:
        return str(make_header(decode_header(value)))
    except (HeaderParseError, ValueError, LookupError):
        return value


def read_base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise _bad("Invalid base64 data") from None


def build_simple(
    content: dict[str, Any],
    *,
    sender: str,
    destination: dict[str, list[str]],
    reply_to: list[str],
) -> bytes:
    """The MIME message for `Content.Simple` (SES v2 API, Message)."""
    message = EmailMessage(policy=SMTP)
    try:
        message["From"] = sender
        for header, field in (("To", "ToAddresses"), ("Cc", "CcAddresses")):
            if destination.get(field):
                message[header] = ", ".join(destination[field])
        if reply_to:
            message["Reply-To"] = ", ".join(reply_to)
        message["Subject"] = content.get("Subject", {}).get("Data", "")
        for header in content.get("Headers") or []:
            message[header["Name"]] = header["Value"]
        _set_body(message, content.get("Body") or {})
        for attachment in content.get("Attachments") or []:
            _attach(message, attachment)
        return message.as_bytes()
    except (KeyError, ValueError) as error:
        raise _bad(f"Invalid message: {error}") from None


def _unfolded(block: bytes) -> list[bytes]:
    fields: list[bytes] = []
    for line in block.splitlines(keepends=True):
        if line[:1] in (b" ", b"\t") and fields:
            fields[-1] += line
        else:
            fields.append(line)
    if fields and not fields[-1].endswith(b"\n"):
        fields[-1] += b"\r\n"
    return fields


def _read_header(lines: bytes) -> Header:
    name, colon, value = lines.partition(b":")
    if not colon or not _FIELD_NAME.fullmatch(name.rstrip()):
        raise _bad("Failed to parse the message: a header line has no field name")
    text = value.replace(b"\r", b"").replace(b"\n", b"").strip()
    return Header(name.rstrip().decode("ascii"), text.decode(errors="replace"), lines)


def _set_body(message: EmailMessage, body: dict[str, Any]) -> None:
    text, html = (body.get(kind, {}).get("Data") for kind in ("Text", "Html"))
    if text is None and html is None:
        raise _bad("Message body must have Text or Html")
    if text is not None:
        message.set_content(text)
    if html is not None and text is not None:
        message.add_alternative(html, subtype="html")
    elif html is not None:
        message.set_content(html, subtype="html")


def _attach(message: EmailMessage, attachment: dict[str, Any]) -> None:
    kind = attachment.get("ContentType") or "application/octet-stream"
    maintype, _, subtype = kind.partition(";")[0].strip().partition("/")
    content_id = attachment.get("ContentId")
    message.add_attachment(
        read_base64(attachment["RawContent"]),
        maintype=maintype,
        subtype=subtype or "octet-stream",
        filename=attachment["FileName"],
        disposition=attachment.get("ContentDisposition", "ATTACHMENT").lower(),
        cid=f"<{content_id}>" if content_id else None,
    )


def _bad(message: str) -> AwsError:
    return AwsError("BadRequestException", message)
