"""From a row to the bytes on the wire (RFC 5322, RFC 2045-2047)."""

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

from emails.content.addresses import parse
from emails.content.headers import address_field, raw_field, text_field
from emails.content.html_to_text import as_text
from emails.models import Email, EmailAttachment

ID_HEADER = "X-OpenSend-Email-ID"

# Lines of at most 998 octets (RFC 5321 section 4.5.3.1.6), everything else encoded to ASCII.
# Its headers are strings: those of the newer policies are parsed, four times as long as the
# rest takes, to come out as they went in.
_POLICY = compat32.clone(linesep="\r\n", cte_type="7bit", max_line_length=78)
_LINE = 57  # bytes that make a line of 76 characters of base64
_ITSELF = bytes({*range(ord(" "), ord("~") + 1), *b"\t\r\n"} - {ord("=")})
_PIECE = 1024 * _LINE  # encoded at a time, so that lines of a large file are never all in memory
# In quotes as it is; all else is apt to be read in different ways.
_PLAIN_NAME = re.compile(r"(?! )[A-Za-z0-9 ._+@(),&-]{1,60}(?<! )")
_NAME_PIECE = 48  # characters of an encoded file name a line


@dataclass(frozen=True, slots=True)
class Part:
    """An attachment and its bytes."""

    row: EmailAttachment
    content: bytes


def build(email: Email, attachments: Sequence[Part] = ()) -> bytes:
    """The message as it is handed to the provider. Bcc is nowhere in it.

    As far as there are such parts: mixed(alternative(text, related(html, inline...)),
    attachment...). The pieces are joined once, however large they are.
    """
    fields = "".join(f"{each}\r\n" for each in _fields(email)).encode("ascii")
    return b"".join([fields, b"MIME-Version: 1.0\r\n", *_content(email, attachments)])


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


def _content(email: Email, attachments: Sequence[Part]) -> list[bytes]:
    inline = [part for part in attachments if part.row.content_id and email.html]
    others = [part for part in attachments if part not in inline]
    body = _written(email.text or as_text(email.html) or " ", "plain")
    if email.html:
        html = _written(email.html, "html")
        if inline:
            html = _multipart("related", [html, *map(_attached, inline)], root="text/html")
        body = _multipart("alternative", [body, html])
    return _multipart("mixed", [body, *map(_attached, others)]) if others else body


def _written(text: str, subtype: str) -> list[bytes]:
    part = EmailMessage(policy=_POLICY)
    # Without it the first lines decide, and what suits them can make three bytes of every other.
    cte = "base64" if _is_foreign(text) else None
    part.set_content(text, subtype=subtype, cte=cte, content_manager=raw_data_manager)
    del part["MIME-Version"]
    return [part.as_bytes()]


def _is_foreign(text: str) -> bool:
    """Whether so much of a text is beyond what stands for itself in quoted-printable (RFC 2045
    section 6.7) that it is shorter in base64."""
    octets = text.encode()
    return len(octets.translate(None, _ITSELF)) * 8 > len(octets)


def _attached(part: Part) -> list[bytes]:
    row = part.row
    fields = [
        f"Content-Type: {row.content_type}",
        "Content-Transfer-Encoding: base64",
        f"Content-Disposition: {disposition(row)}{_filename(row.filename)}",
    ]
    if row.content_id:
        fields.append(f"Content-ID: <{row.content_id}>")
    return ["\r\n".join([*fields, "", ""]).encode("ascii"), *_base64(part.content)]


def disposition(attachment: EmailAttachment) -> Literal["inline", "attachment"]:
    return "inline" if attachment.content_id else "attachment"


def _multipart(subtype: str, parts: Iterable[list[bytes]], *, root: str = "") -> list[bytes]:
    """`root` is the type of the first part (RFC 2387 section 3.1).

    The boundary can't be in base64 or quoted-printable, and nobody could have guessed it.
    """
    boundary = f"=_{uuid4().hex}"
    of = f';\r\n type="{root}"' if root else ""
    pieces = [f'Content-Type: multipart/{subtype};\r\n boundary="{boundary}"{of}\r\n\r\n'.encode()]
    for part in parts:
        pieces += [f"--{boundary}\r\n".encode(), *part, b"\r\n"]
    return [*pieces, f"--{boundary}--\r\n".encode()]


def _base64(content: bytes) -> Iterator[bytes]:
    view = memoryview(content)
    for start in range(0, len(content), _PIECE):
        piece = view[start : start + _PIECE]
        yield b"".join(
            b2a_base64(piece[line : line + _LINE], newline=False) + b"\r\n"
            for line in range(0, len(piece), _LINE)
        )


def _filename(name: str) -> str:
    """The parameter of Content-Disposition; RFC 2231 sections 3 and 4 for what isn't plain."""
    if _PLAIN_NAME.fullmatch(name):
        return f';\r\n filename="{name}"'
    encoded = quote(name, safe="")
    # A piece doesn't end within a %XX: every piece is decoded by itself.
    pieces = re.findall(rf"(?:%..|[^%]){{1,{_NAME_PIECE // 3}}}", encoded)
    if len(pieces) == 1:
        return f";\r\n filename*=utf-8''{pieces[0]}"
    first, *more = pieces
    lines = [f"filename*0*=utf-8''{first}"]
    lines += [f"filename*{number}*={piece}" for number, piece in enumerate(more, start=1)]
    return "".join(f";\r\n {line}" for line in lines)
