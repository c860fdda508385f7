"""`attachments` of `POST /emails`, field by field."""

import re
from base64 import b64decode
from collections.abc import Sequence
from mimetypes import guess_type
from typing import Annotated, Any, Self
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydantic.json_schema import WithJsonSchema

from core.api.bodies import RequestBody, Text
from emails.content.addresses import CONTROL
from emails.content.sizes import base64_size

MAX_ATTACHMENTS = 100
_ANYTHING = "application/octet-stream"
_TOKEN = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"  # noqa: S105 (RFC 2045 section 5.1)
_TYPE = re.compile(rf'{_TOKEN}/{_TOKEN}(\s*;\s*{_TOKEN}=({_TOKEN}|"[ !#-\[\]-~]*"))*')
# RFC 2046: these hold messages and must not be base64.
_COMPOSITE = re.compile(r"(multipart|message)/", re.IGNORECASE)
_ENCODED_WORD = re.compile(r"=\?[^?]*\?[bq]\?", re.IGNORECASE)
_CONTENT_ID = re.compile(r"[A-Za-z0-9!#$&'*+/=?^_`{|}~.@-]{1,128}")


def _content(given: Any) -> bytes:
    if isinstance(given, str):
        try:
            return b64decode(given.replace("\r", "").replace("\n", ""), validate=True)
        except ValueError:
            raise ValueError("must be base64 (RFC 4648), which may be broken into lines") from None
    if isinstance(given, list) and all(type(each) is int for each in given):
        try:
            return bytes(given)
        except ValueError:
            raise ValueError("must be a list of byte values, 0 to 255") from None
    raise ValueError("must be a base64 string or a list of byte values")


def _filename(given: str) -> str:
    name = given.strip()  # readers disagree on what is around it
    if not name or CONTROL.search(name) or re.search(r"[/\\]", name):
        raise ValueError("must be a file's name without a path and without control characters")
    if _ENCODED_WORD.search(name):  # some readers decode it, and it could say anything
        raise ValueError("must not contain an encoded word such as `=?utf-8?b?...`")
    return name


def _content_type(given: str) -> str:
    if not _TYPE.fullmatch(given) or CONTROL.search(given):
        raise ValueError("must be a media type such as `application/pdf`")
    if _COMPOSITE.match(given):
        raise ValueError("must not be `multipart/...` or `message/...`; leave it out")
    return given


def _content_id(given: str) -> str:
    if not _CONTENT_ID.fullmatch(given):
        raise ValueError("must be 1 to 128 of the characters of a Message-ID, without `<` and `>`")
    return given


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
    def _is_one_thing(self) -> Self:
        if (self.content is None) == (self.path is None):
            raise ValueError("needs either `content` or `path`")
        if self.content_id and self.inline_content_id not in (None, self.content_id):
            raise ValueError("`content_id` and `inline_content_id` are the same thing: give one")
        if self.filename is None:
            last = unquote(urlsplit(self.path or "").path).rpartition("/")[2]
            self.filename = _filename(last[-255:])  # with its ending, if it is long
        return self

    @property
    def name(self) -> str:
        """As given, or the last part of the address."""
        return self.filename or ""

    @property
    def type(self) -> str:
        """As given, or what the name's ending stands for."""
        guessed, coding = guess_type(self.name, strict=True)
        fits = guessed and not coding and not _COMPOSITE.match(guessed)
        return self.content_type or (guessed if guessed and fits else _ANYTHING)

    @property
    def cid(self) -> str:
        return self.content_id or self.inline_content_id or ""


def encoded_size(attachments: Sequence[Attachment]) -> int:
    """Bytes on the wire of what is known of them."""
    return sum(base64_size(len(each.content or b"")) for each in attachments)


def together(attachments: list[Attachment]) -> list[Attachment]:
    ids = [each.cid for each in attachments if each.cid]
    if len(set(ids)) < len(ids):
        raise ValueError("must not have the same `content_id` twice")
    return attachments


Attachments = Annotated[
    list[Attachment], Field(max_length=MAX_ATTACHMENTS), AfterValidator(together)
]
