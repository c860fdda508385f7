"""The body of `POST /emails`, field by field."""

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, model_validator
from pydantic.json_schema import WithJsonSchema

from core.api.bodies import FieldPath, RequestBody, Text, parse, wrong
from core.errors import UnsupportedField
from emails.api.attachment_fields import Attachments, encoded_size
from emails.content import addresses
from emails.content.addresses import CONTROL, Mailbox
from emails.content.sizes import FIELDS, MAX_MESSAGE, PART_FIELDS, field_size, text_size
from emails.providers.ses import EMAIL_TAG
from emails.schedule_parsing import MAX_LENGTH, parse_scheduled_at

MAX_RECIPIENTS = 50
MAX_MAILBOXES = 100  # of a field, in which addresses may be there twice
MAX_REPLY_TO = 50
MAX_TAGS = 75
# Known to the clients, not to this installation: refused by name, never silently dropped.
UNSUPPORTED = ("template", "topic_id")

TOO_LARGE = (
    "makes the mail larger than 40 MiB, which is all that SES takes, with `html`, `text` and"
    " attachments as they are encoded; send a link to what is large"
)

# Either asks for a way to unsubscribe by one click.
UNSUBSCRIBE_HEADER = "x-opensend-unsubscribe"
UNSUBSCRIBE_URL = "{{{OPENSEND_UNSUBSCRIBE_URL}}}"

_HEADER_NAME = re.compile(r"[!-9;-~]{1,200}")  # RFC 5322 section 2.2: printable, no colon
_OURS = re.compile(
    r"(From|To|Cc|Bcc|Sender|Subject|Date|Message-ID|Return-Path|Received|Reply-To"
    r"|(MIME|Content|DKIM|X-OpenSend)-.*)",
    re.IGNORECASE,
)
_LIST_HEADERS = frozenset({"list-unsubscribe", "list-unsubscribe-post"})
_TAG = re.compile(r"[A-Za-z0-9_-]{1,256}")


def _mailbox(given: Any) -> Mailbox:
    if not isinstance(given, str):
        raise ValueError("must be a string such as `name@example.com` or `Name <name@example.com>`")
    return addresses.parse(given)


def _as_list(given: Any) -> Any:
    return [given] if isinstance(given, str) else given


def _one_line(value: str) -> str:
    if not _is_line(value):
        raise ValueError("must be a single line without control characters")
    return value


def _is_line(value: str) -> bool:
    return not CONTROL.search(value.replace("\t", " "))


def _headers(given: dict[str, str]) -> dict[str, str]:
    problems: dict[FieldPath, str] = {
        (name,): why for name, value in given.items() if (why := _refused_header(name, value))
    }
    if problems:
        raise wrong(problems)
    return given


def _refused_header(name: str, value: str) -> str:
    if not _HEADER_NAME.fullmatch(name):
        return "must have a name of 1 to 200 printable ASCII characters, without `:`"
    if name.lower() == UNSUBSCRIBE_HEADER:
        return "" if value.lower() == "true" else "can only be `true`; leave it out otherwise"
    if _OURS.fullmatch(name):
        return "is set by the platform and cannot be given"
    if not _is_line(value) or len(value) > 4000:
        return "must be a single line of at most 4,000 characters, none of them a control character"
    return ""


def _tag_part(value: str) -> str:
    if not _TAG.fullmatch(value):
        raise ValueError("must be 1 to 256 ASCII letters, digits, `_` or `-`")
    return value


def _moment(given: Any) -> datetime:
    if not isinstance(given, str):
        raise ValueError("must be a string such as `2026-05-10T00:00:00Z` or `in 1 hour`")
    return parse_scheduled_at(given)


_STRING = WithJsonSchema({"type": "string"})


def _strings(**lengths: int) -> WithJsonSchema:
    many = {"type": "array", "items": {"type": "string"}, **lengths}
    return WithJsonSchema({"anyOf": [{"type": "string"}, many]})


OneMailbox = Annotated[Mailbox, BeforeValidator(_mailbox), _STRING]
# The lengths stand inside, where they end the reading of a list that is too long.
To = Annotated[
    list[OneMailbox],
    Field(min_length=1, max_length=MAX_MAILBOXES),
    BeforeValidator(_as_list),
    _strings(minItems=1, maxItems=MAX_MAILBOXES),
]
Copies = Annotated[
    list[OneMailbox],
    Field(max_length=MAX_MAILBOXES),
    BeforeValidator(_as_list),
    _strings(maxItems=MAX_MAILBOXES),
]
ReplyTo = Annotated[
    list[OneMailbox],
    Field(max_length=MAX_REPLY_TO),
    BeforeValidator(_as_list),
    _strings(maxItems=MAX_REPLY_TO),
]
TagPart = Annotated[str, AfterValidator(_tag_part)]
Moment = Annotated[
    datetime,
    BeforeValidator(_moment),
    WithJsonSchema(
        {
            "type": "string",
            "maxLength": MAX_LENGTH,
            "description": "ISO 8601 with its zone, or plain English such as `in 1 hour` or"
            " `tomorrow at 9am Europe/Berlin` (UTC without a zone); up to 30 days ahead",
        }
    ),
]


def _tag_name(value: str) -> str:
    if value.lower() == EMAIL_TAG:
        raise ValueError(f"`{EMAIL_TAG}` is set by the platform and cannot be given")
    return value


class Tag(RequestBody):
    name: Annotated[TagPart, AfterValidator(_tag_name)]
    value: TagPart


def _once_each(tags: list[Tag]) -> list[Tag]:
    names: set[str] = set()
    problems: dict[FieldPath, str] = {}
    for index, tag in enumerate(tags):
        if tag.name in names:
            problems[index, "name"] = "is the name of a tag before it; each can be there once"
        names.add(tag.name)
    if problems:
        raise wrong(problems)
    return tags


def _null_is_not_given(schema: dict[str, Any]) -> None:
    """As `parse_email` has it, also of what can't be given at all."""
    fields, null = schema["properties"], {"type": "null"}
    for name, field in fields.items():
        if name not in schema["required"] and null not in field.get("anyOf", []):
            default = field.pop("default")
            fields[name] = {"anyOf": [field, null], "default": default}
    fields |= dict.fromkeys(UNSUPPORTED, null | {"description": "Not in this version."})


class SendEmail(RequestBody):
    """`from`, `to`, `cc`, `bcc` and `reply_to` are `a@b` or `Name <a@b>`."""

    model_config = ConfigDict(json_schema_extra=_null_is_not_given)

    sender: OneMailbox = Field(alias="from")
    to: To
    cc: Copies = []
    bcc: Copies = []
    reply_to: ReplyTo = []
    subject: Annotated[Text, Field(min_length=1, max_length=998), AfterValidator(_one_line)]
    html: Text | None = None
    text: Text | None = None
    headers: Annotated[dict[Text, Text], Field(max_length=50), AfterValidator(_headers)] = {}
    tags: Annotated[list[Tag], Field(max_length=MAX_TAGS), AfterValidator(_once_each)] = []
    attachments: Attachments = []
    scheduled_at: Moment | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if problems := dict(self._contradictions()):
            raise wrong(problems)
        return self

    def _contradictions(self) -> Iterator[tuple[FieldPath, str]]:
        if not self.html and not self.text:
            yield ("html",), "`html` or `text` is required, or both"
        count = len(self.recipients())
        if self.unsubscribe:
            yield from self._against_leaving(count)
        if count > MAX_RECIPIENTS:
            yield ("to",), f"`to`, `cc` and `bcc` may have {MAX_RECIPIENTS} recipients in all"
        if self._may_be_large() and self.room() < 0:
            sizes = self._sizes()
            yield (max(sizes, key=sizes.__getitem__),), TOO_LARGE

    def _against_leaving(self, count: int) -> Iterator[tuple[FieldPath, str]]:
        if count > 1:
            yield (
                ("to",),
                f"a mail with `X-OpenSend-Unsubscribe` or `{UNSUBSCRIBE_URL}` must have one"
                " recipient in all: everybody unsubscribes by a link of their own",
            )
        for name in self.headers:
            if name.lower() in _LIST_HEADERS:
                yield (
                    ("headers", name),
                    "is set by the platform when it is asked for a way to unsubscribe, and cannot"
                    " be given as well",
                )

    @property
    def unsubscribe(self) -> bool:
        """Whether the recipient gets a way to unsubscribe by one click."""
        return (
            any(name.lower() == UNSUBSCRIBE_HEADER for name in self.headers)
            or UNSUBSCRIBE_URL in (self.html or "")
            or UNSUBSCRIBE_URL in (self.text or "")
        )

    def room(self) -> int:
        """Bytes on the wire that are left for files to be fetched."""
        return MAX_MESSAGE - FIELDS - sum(self._sizes().values())

    def _may_be_large(self) -> bool:
        # A character is at most four bytes, and those six in base64.
        return bool(self.attachments) or len(self.html or "") + len(self.text or "") > 1_000_000

    def _sizes(self) -> dict[str, int]:
        html, text = self.html or "", self.text or ""
        return {
            # A text is made of HTML that comes without one.
            "html": text_size(html) * (1 if text else 2),
            "text": text_size(text),
            "attachments": encoded_size(self.attachments) + PART_FIELDS * len(self.attachments),
            "headers": sum(field_size(name + value) for name, value in self.headers.items()),
            "to": sum(field_size(str(box)) for _, box in self.recipients()),
        }

    def recipients(self) -> list[tuple[str, Mailbox]]:
        """Each address once, with the kind under which it came first."""
        found: dict[str, tuple[str, Mailbox]] = {}
        for kind, mailboxes in (("to", self.to), ("cc", self.cc), ("bcc", self.bcc)):
            for mailbox in mailboxes:
                found.setdefault(addresses.identity(mailbox.address), (kind, mailbox))
        return list(found.values())


class Reschedule(RequestBody):
    """`id` is what clients repeat from the path; nothing reads it."""

    id: Text | None = None
    scheduled_at: Moment


# What may be null, which clients send for what isn't given.
_NULLABLE = {field.alias or name for name, field in SendEmail.model_fields.items()} | {*UNSUPPORTED}


def parse_email(data: Any, *, prefix: str = "") -> SendEmail:
    """One email of a request; ValidationFailed or UnsupportedField name the fields at fault."""
    if isinstance(data, dict):
        for name in UNSUPPORTED:
            if data.get(name) is not None:
                raise UnsupportedField(
                    f"`{prefix}{name}` is not supported by this version.",
                    details={"fields": {prefix + name: "is not supported"}},
                )
        data = {
            name: value
            for name, value in data.items()
            if value is not None or name not in _NULLABLE
        }
    return parse(SendEmail, data, prefix=prefix)
