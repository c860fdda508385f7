"""Request bodies of `/emails`, validated field by field."""

import re
from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    AliasChoices,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)
from pydantic.json_schema import WithJsonSchema

from core.api.aliases import AliasedBody
from core.api.bodies import FieldPath, RequestBody, Text, invalid_fields
from core.api.fields import HEADER_MAP, HeaderValue, ScalarText
from core.errors import UnsupportedField
from emails.api.attachment_fields import Attachments
from emails.content import addresses
from emails.content.addresses import CONTROL, Mailbox
from emails.content.outgoing_message import UNSUBSCRIBE_HEADER, OutgoingMessage
from emails.content.placeholder import has_placeholder
from emails.providers.ses import EMAIL_TAG
from emails.schedule_parsing import MAX_LENGTH, parse_scheduled_at

MAX_MAILBOXES = 100  # per field, before duplicates are removed
MAX_REPLY_TO = 50
MAX_TAGS = 75
# Fields of the Resend clients that are not supported: rejected by name, not silently ignored.
UNSUPPORTED = ("template", "topic_id")

_HEADER_NAME = re.compile(r"[!-9;-~]{1,200}")  # RFC 5322 section 2.2: printable, no colon
_RESERVED = re.compile(
    r"(From|To|Cc|Bcc|Sender|Subject|Date|Message-ID|Return-Path|Received|Reply-To"
    # Of the servers on the way (RFC 8601, RFC 7208), and what makes them see a loop.
    r"|Authentication-Results|Delivered-To|DomainKey-Signature|Received-SPF"
    # X-SES-* are parameters of the Amazon SES API.
    r"|(MIME|Content|DKIM|ARC|Resent|X-OpenSend|X-SES)-.*"
    # Parameters of the services that SMTP_URL may name: SendGrid, SparkPost, Mailgun, Postmark,
    # Mandrill, Mailjet, Brevo. Some add recipients, past our suppressions.
    r"|X-SMTPAPI|X-MSYS-API|X-(Mailgun|PM|MC|MJ|Mailjet|Mailin|SIB)-.*)",
    re.IGNORECASE,
)
_TAG = re.compile(r"[A-Za-z0-9_-]{1,256}")


def _mailbox(value: Any) -> Mailbox:
    if not isinstance(value, str):
        raise ValueError("must be a string such as `name@example.com` or `Name <name@example.com>`")
    return addresses.parse(value)


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _single_line(value: str) -> str:
    if not _is_line(value):
        raise ValueError("must be a single line without control characters")
    return value


def _is_line(value: str) -> bool:
    return not CONTROL.search(value.replace("\t", " "))


def _headers(headers: dict[str, str]) -> dict[str, str]:
    problems: dict[FieldPath, str] = {
        (name,): problem
        for name, value in headers.items()
        if (problem := _header_problem(name, value))
    }
    if problems:
        raise invalid_fields(problems)
    return headers


def _header_problem(name: str, value: str) -> str:
    if not _HEADER_NAME.fullmatch(name):
        return "must have a name of 1 to 200 printable ASCII characters, without `:`"
    if name.lower() == UNSUBSCRIBE_HEADER:
        return "" if value.lower() == "true" else "can only be `true`; leave it out otherwise"
    if _RESERVED.fullmatch(name):
        return "is set by the platform and cannot be overridden"
    if not _is_line(value) or len(value) > 4000:
        return "must be a single line of at most 4,000 characters without control characters"
    return ""


def _tag_part(value: str) -> str:
    if not _TAG.fullmatch(value):
        raise ValueError("must be 1 to 256 ASCII letters, digits, `_` or `-`")
    return value


def _scheduled_at(value: Any) -> datetime:
    if not isinstance(value, str):
        raise ValueError("must be a string such as `2026-05-10T00:00:00Z` or `in 1 hour`")
    return parse_scheduled_at(value)


_STRING = WithJsonSchema({"type": "string"})


def _strings(**lengths: int) -> WithJsonSchema:
    array = {"type": "array", "items": {"type": "string"}, **lengths}
    return WithJsonSchema({"anyOf": [{"type": "string"}, array]})


OneMailbox = Annotated[Mailbox, BeforeValidator(_mailbox), _STRING]
# Field comes first: the list schema itself then stops parsing a list that is too long.
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
CustomHeaders = Annotated[
    dict[str, HeaderValue], Field(max_length=50), HEADER_MAP, AfterValidator(_headers)
]
TagPart = Annotated[str, AfterValidator(_tag_part)]
TagValue = Annotated[ScalarText, AfterValidator(_tag_part)]
ScheduledAt = Annotated[
    datetime,
    BeforeValidator(_scheduled_at),
    WithJsonSchema(
        {
            "type": "string",
            "maxLength": MAX_LENGTH,
            "description": "ISO 8601 with a time zone, or plain English such as `in 1 hour` or"
            " `tomorrow at 9am Europe/Berlin` (UTC by default); up to 30 days ahead",
        }
    ),
]
# Node.js clients before 6 pass the emails of a batch on as their callers spell them.
_REPLY_TO = Field(validation_alias=AliasChoices("reply_to", "replyTo"))
_SCHEDULED_AT = Field(validation_alias=AliasChoices("scheduled_at", "scheduledAt"))


def _tag_name(value: str) -> str:
    if value.lower() == EMAIL_TAG:
        raise ValueError(f"`{EMAIL_TAG}` is set by the platform and cannot be overridden")
    return value


class Tag(RequestBody):
    name: Annotated[TagPart, AfterValidator(_tag_name)]
    value: TagValue


def _unique_names(tags: list[Tag]) -> list[Tag]:
    names: set[str] = set()
    problems: dict[FieldPath, str] = {}
    for index, tag in enumerate(tags):
        if tag.name in names:
            problems[index, "name"] = "is already the name of another tag; tag names must be unique"
        names.add(tag.name)
    if problems:
        raise invalid_fields(problems)
    return tags


def _allow_null(schema: dict[str, Any]) -> None:
    """`SendEmail.parse` treats null as absent, even for the unsupported fields."""
    fields, null = schema["properties"], {"type": "null"}
    for name, field in fields.items():
        if name not in schema["required"] and null not in field.get("anyOf", []):
            default = field.pop("default")
            fields[name] = {"anyOf": [field, null], "default": default}
    fields |= dict.fromkeys(UNSUPPORTED, null | {"description": "Not supported."})


class SendEmail(AliasedBody):
    """`from`, `to`, `cc`, `bcc` and `reply_to` take `a@b` or `Name <a@b>`."""

    model_config = ConfigDict(json_schema_extra=_allow_null)

    sender: OneMailbox = Field(alias="from")
    to: To
    cc: Copies = []
    bcc: Copies = []
    reply_to: Annotated[ReplyTo, _REPLY_TO] = []
    subject: Annotated[Text, Field(min_length=1, max_length=998), AfterValidator(_single_line)]
    html: Text | None = None
    text: Text | None = None
    headers: CustomHeaders = {}
    tags: Annotated[list[Tag], Field(max_length=MAX_TAGS), AfterValidator(_unique_names)] = []
    attachments: Attachments = []
    scheduled_at: Annotated[ScheduledAt | None, _SCHEDULED_AT] = None

    @classmethod
    def parse(cls, data: Any, *, prefix: str = "") -> Self:
        """One email of a request; ValidationFailed or UnsupportedField name the invalid fields."""
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
        return super().parse(data, prefix=prefix)

    @model_validator(mode="after")
    def _check_consistency(self) -> Self:
        if problems := dict(self.to_message().problems()):
            raise invalid_fields(problems)
        return self

    @property
    def unsubscribe(self) -> bool:
        """Whether the email gets one-click unsubscribe (RFC 8058)."""
        return (
            any(name.lower() == UNSUBSCRIBE_HEADER for name in self.headers)
            or has_placeholder(self.html or "")
            or has_placeholder(self.text or "")
        )

    def to_message(self) -> OutgoingMessage:
        """An attachment that is not fetched yet is empty."""
        return OutgoingMessage(
            sender=self.sender,
            to=self.to,
            cc=self.cc,
            bcc=self.bcc,
            reply_to=self.reply_to,
            subject=self.subject,
            html=self.html or "",
            text=self.text,
            headers=self.headers,
            tags={tag.name: tag.value for tag in self.tags},
            attachments=[each.to_outgoing() for each in self.attachments],
            scheduled_at=self.scheduled_at,
            unsubscribe=self.unsubscribe,
        )


class Reschedule(AliasedBody):
    """Clients repeat `id` from the path; it is ignored."""

    id: Text | None = None
    scheduled_at: Annotated[ScheduledAt, _SCHEDULED_AT]


# Fields that may be null: clients send null for absent fields.
_NULLABLE = {field.alias or name for name, field in SendEmail.model_fields.items()} | {
    *UNSUPPORTED,
    "replyTo",
    "scheduledAt",
}
