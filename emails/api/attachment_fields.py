"""Validates `attachments` of `POST /emails`, field by field."""

import re
from base64 import b64decode
from mimetypes import guess_type
from typing import Annotated, Any, Self
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydantic.json_schema import WithJsonSchema

from core.api.bodies import RequestBody, Text
from emails.content import content_ids
from emails.content.addresses import CONTROL
from emails.content.attached_messages import is_composite
from emails.content.outgoing_message import OutgoingAttachment

MAX_ATTACHMENTS = 100
_DEFAULT_TYPE = "application/octet-stream"
_TOKEN = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"  # noqa: S105 (RFC 2045 section 5.1)
_TYPE = re.compile(rf'{_TOKEN}/{_TOKEN}(\s*;\s*{_TOKEN}=({_TOKEN}|"[ !#-\[\]-~]*"))*')
_ENCODED_WORD = re.compile(r"=\?[^?]*\?[bq]\?", re.IGNORECASE)


def _content(value: Any) -> bytes:
    if isinstance(value, str):
        try:
            return b64decode(value.replace("\r", "").replace("\n", ""), validate=True)
        except ValueError:
            raise ValueError("must be base64 (RFC 4648), optionally with line breaks") from None
    if isinstance(value, list) and all(type(each) is int for each in value):
        try:
            return bytes(value)
        except ValueError:
            raise ValueError("must be a list of byte values, 0 to 255") from None
    raise ValueError("must be a base64 string or a list of byte values")


def _filename(value: str) -> str:
    name = value.strip()  # parsers disagree on surrounding whitespace
    if not name or CONTROL.search(name) or re.search(r"[/\\]", name):
        raise ValueError("must be a file's name without a path or control characters")
    if _ENCODED_WORD.search(name):  # some parsers decode it, which would hide the real name
        raise ValueError("must not contain an encoded word such as `=?utf-8?b?...`")
    return name


def _content_type(value: str) -> str:
    if not _TYPE.fullmatch(value) or CONTROL.search(value):
        raise ValueError("must be a media type such as `application/pdf`")
    return value


def _content_id(value: str) -> str:
    if CONTROL.search(value):
        raise ValueError("must not contain control characters")
    return content_ids.clean(value)


_BYTES = {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 255}}
Content = Annotated[
    bytes,
    BeforeValidator(_content),
    WithJsonSchema({"anyOf": [{"type": "string", "contentEncoding": "base64"}, _BYTES]}),
]
ContentId = Annotated[str, AfterValidator(_content_id)]


class Attachment(RequestBody):
    """`content` is base64 or a list of byte values; `path` is an https URL to fetch it from."""

    filename: Annotated[Text, Field(max_length=255), AfterValidator(_filename)] | None = None
    content: Content | None = None
    path: Annotated[Text, Field(max_length=2048)] | None = None
    content_type: Annotated[Text, Field(max_length=255), AfterValidator(_content_type)] | None = (
        None
    )
    content_id: ContentId | None = None
    inline_content_id: ContentId | None = None

    @model_validator(mode="after")
    def _check_consistency(self) -> Self:
        if (self.content is None) == (self.path is None):
            raise ValueError("needs either `content` or `path`, not both")
        if self.content_id and self.inline_content_id not in (None, self.content_id):
            raise ValueError(
                "`content_id` and `inline_content_id` are the same thing: set one of them"
            )
        if self.filename is None:
            last = unquote(urlsplit(self.path or "").path).rpartition("/")[2]
            self.filename = _filename(last[-255:])  # a long name keeps its extension
        return self

    @property
    def name(self) -> str:
        """`filename`, or by default the last segment of `path`."""
        return self.filename or ""

    @property
    def type(self) -> str:
        """`content_type`, or by default the type of the file extension."""
        guessed, coding = guess_type(self.name, strict=True)
        fits = guessed and not coding and not is_composite(guessed)
        return self.content_type or (guessed if guessed and fits else _DEFAULT_TYPE)

    @property
    def cid(self) -> str:
        return self.content_id or self.inline_content_id or ""

    def to_outgoing(self) -> OutgoingAttachment:
        return OutgoingAttachment(
            filename=self.name,
            content=self.content or b"",
            content_type=self.type,
            content_id=self.cid,
        )


def _unique_content_ids(attachments: list[Attachment]) -> list[Attachment]:
    ids = [each.cid for each in attachments if each.cid]
    if len(set(ids)) < len(ids):
        raise ValueError("must not have the same `content_id` twice")
    return attachments


Attachments = Annotated[
    list[Attachment], Field(max_length=MAX_ATTACHMENTS), AfterValidator(_unique_content_ids)
]
