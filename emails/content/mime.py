"""Builds the MIME message of an email (RFC 5322, RFC 2045-2047)."""

import re
from binascii import b2a_base64
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from email.contentmanager import raw_data_manager
from email.message import EmailMessage
from email.policy import compat32
from email.utils import format_datetime
from typing import Literal
from urllib.parse import quote
from uuid import uuid4

from django.utils import timezone

from emails.content import content_ids
from emails.content.addresses import parse
from emails.content.attached_messages import as_7bit, is_composite
from emails.content.headers import address_field, custom_field, text_field
from emails.content.html_to_text import html_to_text
from emails.models import Email, EmailAttachment
from emails.providers import Refused

ID_HEADER = "X-OpenSend-Email-ID"

# Lines of at most 998 octets (RFC 5321 section 4.5.3.1.6), everything else encoded to ASCII.
# compat32 keeps headers as strings: the newer policies parse them, which takes four times as long
# as everything else and changes nothing.
_POLICY = compat32.clone(linesep="\r\n", cte_type="7bit", max_line_length=78)
_LINE = 57  # bytes per base64 line of 76 characters
_QP_LITERALS = bytes({*range(ord(" "), ord("~") + 1), *b"\t\r\n"} - {ord("=")})
_CHUNK = 1024 * _LINE  # encoded at a time, so a large file is never in memory as single lines
# Safe as a quoted string; parsers disagree on anything else.
_PLAIN_NAME = re.compile(r"(?! )[A-Za-z0-9 ._+@(),&-]{1,60}(?<! )")
_UNKNOWN_TYPE = "application/octet-stream"
_NAME_CHUNK = 48  # characters of an encoded file name per line


@dataclass(frozen=True, slots=True)
class Part:
    """An attachment and its bytes."""

    row: EmailAttachment
    content: bytes


def build(email: Email, attachments: Sequence[Part] = ()) -> bytes:
    """The message as the provider gets it, without Bcc.

    The structure, as far as there are such parts: mixed(alternative(text, related(html,
    inline...)), attachment...). The chunks are joined only once, since they may be large.
    """
    fields = "".join(f"{each}\r\n" for each in _fields(email)).encode("ascii")
    return b"".join([fields, b"MIME-Version: 1.0\r\n", *_content(email, attachments)])


def own_message_id(email: Email) -> str:
    return f"<{email.pk}@{parse(email.sender).domain}>"


def _fields(email: Email) -> list[str]:
    address_fields = (("To", email.to), ("Cc", email.cc), ("Reply-To", email.reply_to))
    return [
        address_field("From", [parse(email.sender)]),
        *(
            address_field(name, [parse(each) for each in boxes])
            for name, boxes in address_fields
            if boxes
        ),
        text_field("Subject", email.subject),
        f"Date: {format_datetime(timezone.now())}",
        f"Message-ID: {own_message_id(email)}",
        f"{ID_HEADER}: {email.pk}",
        *(_custom_field(name, value) for name, value in email.headers.items()),
    ]


def _custom_field(name: str, value: str) -> str:
    """Refused if it can't be written: accepted by an earlier version, which would retry it."""
    try:
        return custom_field(name, value)
    except ValueError as error:
        raise Refused(f"The header {name} {error}.") from None


def _content(email: Email, attachments: Sequence[Part]) -> list[bytes]:
    inline = [part for part in attachments if part.row.content_id and email.html]
    others = [part for part in attachments if part not in inline]
    body = _body(email, inline)
    return _multipart("mixed", [body, *map(_attachment_part, others)]) if others else body


def _body(email: Email, inline: Sequence[Part]) -> list[bytes]:
    text = email.text or ("" if email.html_only else html_to_text(email.html))
    if not email.html:
        return _text_part(text, "plain")
    ids = [part.row.content_id for part in inline]
    html = _text_part(content_ids.rewrite_references(email.html, ids), "html")
    if inline:
        html = _multipart("related", [html, *map(_attachment_part, inline)], root="text/html")
    return _multipart("alternative", [_text_part(text, "plain"), html]) if text else html


def _text_part(text: str, subtype: str) -> list[bytes]:
    part = EmailMessage(policy=_POLICY)
    # By default only the first lines decide on the encoding: quoted-printable could then triple
    # the size of the rest.
    cte = "base64" if _is_shorter_in_base64(text) else None
    part.set_content(text, subtype=subtype, cte=cte, content_manager=raw_data_manager)
    del part["MIME-Version"]
    return [part.as_bytes()]


def _is_shorter_in_base64(text: str) -> bool:
    """Whether too many octets need escaping in quoted-printable (RFC 2045 section 6.7)."""
    octets = text.encode()
    return len(octets.translate(None, _QP_LITERALS)) * 8 > len(octets)


def _attachment_part(part: Part) -> list[bytes]:
    row = part.row
    content_type, message = row.content_type, None
    if is_composite(content_type):
        message = as_7bit(content_type, part.content)
        content_type = _UNKNOWN_TYPE if message is None else content_type
    fields = [
        f"Content-Type: {content_type}",
        f"Content-Transfer-Encoding: {'base64' if message is None else '7bit'}",
        f"Content-Disposition: {disposition(row)}{_filename(row.filename)}",
    ]
    if row.content_id:
        fields.append(f"Content-ID: <{content_ids.on_the_wire(row.content_id)}>")
    head = "\r\n".join([*fields, "", ""]).encode("ascii")
    return [head, *(_base64(part.content) if message is None else [message])]


def disposition(attachment: EmailAttachment) -> Literal["inline", "attachment"]:
    return "inline" if attachment.content_id else "attachment"


def _multipart(subtype: str, parts: Iterable[list[bytes]], *, root: str = "") -> list[bytes]:
    """`root` is the type of the first part (RFC 2387 section 3.1).

    The boundary can't occur in base64 or quoted-printable, and it can't be guessed.
    """
    boundary = f"=_{uuid4().hex}"
    root_type = f';\r\n type="{root}"' if root else ""
    content_type = f'multipart/{subtype};\r\n boundary="{boundary}"{root_type}'
    chunks = [f"Content-Type: {content_type}\r\n\r\n".encode()]
    for part in parts:
        chunks += [f"--{boundary}\r\n".encode(), *part, b"\r\n"]
    return [*chunks, f"--{boundary}--\r\n".encode()]


def _base64(content: bytes) -> Iterator[bytes]:
    view = memoryview(content)
    for start in range(0, len(content), _CHUNK):
        chunk = view[start : start + _CHUNK]
        yield b"".join(
            b2a_base64(chunk[line : line + _LINE], newline=False) + b"\r\n"
            for line in range(0, len(chunk), _LINE)
        )


def _filename(name: str) -> str:
    """The parameter of Content-Disposition; encoded by RFC 2231 sections 3 and 4 unless plain."""
    if _PLAIN_NAME.fullmatch(name):
        return f';\r\n filename="{name}"'
    encoded = quote(name, safe="")
    # Never split a %XX: parsers decode each chunk separately.
    chunks = re.findall(rf"(?:%..|[^%]){{1,{_NAME_CHUNK // 3}}}", encoded)
    if len(chunks) == 1:
        return f";\r\n filename*=utf-8''{chunks[0]}"
    first, *more = chunks
    lines = [f"filename*0*=utf-8''{first}"]
    lines += [f"filename*{number}*={chunk}" for number, chunk in enumerate(more, start=1)]
    return "".join(f";\r\n {line}" for line in lines)
