"""Validates `attachments` of `POST /emails`, field by field."""

import re
from base64 import b64decode
from mimetypes import guess_type
from typing import Annotated, Any, Self
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, AliasChoices, BeforeValidator, Field, model_validator
from pydantic.alias_generators import to_camel
from pydantic.json_schema import WithJsonSchema

from core.api.aliases import AliasedBody
from core.api.bodies import Text, invalid_fields
from emails.content import content_ids
from emails.content.addresses import CONTROL
from emails.content.attached_messages import is_composite
from emails.content.outgoing_message import OutgoingAttachment

MAX_ATTACHMENTS = 100
_DEFAULT_TYPE = "application/octet-stream"
_TOKEN = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"  # noqa: S105 (RFC 2045 section 5.1)
_TYPE = re.compile(rf'{_TOKEN}/{_TOKEN}(\s*;\s*{_TOKEN}=({_TOKEN}|"[ !#-\[\]-~]*"))*')
_CHARSET = re.compile(r';\s*charset="?([^\s";]+)', re.IGNORECASE)
_UTF_8 = "; charset=utf-8"
_MAX_TYPE = 255 - len(_UTF_8)  # it may be added to a type
_NOT_BASE64 = (
    "must be base64 (RFC 4648), optionally with line breaks; only `text/...` may be text itself"
)
_ENCODED_WORD = re.compile(r"=\?[^?]*\?[bq]\?", re.IGNORECASE)


def _content(value: Any) -> bytes | str:
    """The bytes; or the string itself, if it is not base64."""
    if isinstance(value, str):
        try:
            return b64decode(value.replace("\r", "").replace("\n", ""), validate=True)
        except ValueError:
            return value
    # How Node.js writes a Buffer.
    if isinstance(value, dict) and value.keys() == {"type", "data"} and value["type"] == "Buffer":
        value = value["data"]
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


def _encode(text: str, media_type: str) -> tuple[bytes, str]:
    """The text in the charset of its type, or in UTF-8, which the type then names."""
    charset = _CHARSET.search(media_type)
    if charset is None:
        return text.encode(), media_type if text.isascii() else media_type + _UTF_8
    try:
        return text.encode(charset[1]), media_type
    except (LookupError, UnicodeError):
        raise ValueError(f"cannot be written in the charset `{charset[1]}`") from None


_BYTES = {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 255}}
_BUFFER = {
    "type": "object",
    "properties": {"type": {"const": "Buffer"}, "data": _BYTES},
    "required": ["type", "data"],
    "additionalProperties": False,
    "description": "As Node.js writes a Buffer.",
}
_STRING = {"type": "string", "description": "Base64; for `text/...` also the text itself."}
Content = Annotated[
    bytes | str,
    BeforeValidator(_content),
    WithJsonSchema({"anyOf": [_STRING, _BYTES, _BUFFER]}),
]
MediaType = Annotated[Text, Field(max_length=_MAX_TYPE), AfterValidator(_content_type)]
ContentId = Annotated[str, AfterValidator(_content_id)]


def _named(name: str) -> Any:
    """A field that may also be spelled as in the Node.js client, which passes it on unchanged."""
    return Field(validation_alias=AliasChoices(name, to_camel(name)))


class Attachment(AliasedBody):
    """`content` is base64, a list of byte values or, for `text/...`, text; `path` is an https URL
    to fetch it from."""

    filename: Annotated[Text, Field(max_length=255), AfterValidator(_filename)] | None = None
    content: Content | None = None
    path: Annotated[Text, Field(max_length=2048)] | None = None
    content_type: Annotated[MediaType | None, _named("content_type")] = None
    content_id: Annotated[ContentId | None, _named("content_id")] = None
    inline_content_id: Annotated[ContentId | None, _named("inline_content_id")] = None

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
        if isinstance(self.content, str):
            self._attach_text(self.content)
        return self

    def _attach_text(self, text: str) -> None:
        if not self.type.lower().startswith("text/"):
            raise invalid_fields({("content",): _NOT_BASE64})
        try:
            self.content, self.content_type = _encode(text, self.type)
        except ValueError as error:
            raise invalid_fields({("content",): str(error)}) from None

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
        assert not isinstance(self.content, str)  # it is encoded by now
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
