"""The message that `emails.services.accept` takes.

The body of `POST /emails` becomes one; other apps and the installation itself build it directly.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from core.api.bodies import FieldPath
from core.errors import ValidationFailed
from emails.content.addresses import Mailbox, identity
from emails.content.headers import custom_field
from emails.content.placeholder import (
    UNSUBSCRIBE_URL,
    misspelt_placeholder,
    names_placeholder,
    replaced_size,
)
from emails.content.sizes import (
    HEADER_RESERVE,
    MAX_MESSAGE,
    PART_HEADER_RESERVE,
    base64_size,
    field_size,
    text_size,
)

MAX_RECIPIENTS = 50  # of SES, per message
TOO_LARGE = (
    "makes the email larger than 40 MiB, the limit of SES for `html`, `text` and attachments"
    " after encoding; send a link to large files instead"
)

# Adds one-click unsubscribe to an email of the API, like the placeholder.
UNSUBSCRIBE_HEADER = "x-opensend-unsubscribe"
_NO_PLACEHOLDER = (
    f"must not have the placeholder `{UNSUBSCRIBE_URL}`, which belongs into `html` or `text`"
)
_LIST_HEADERS = frozenset({"list-unsubscribe", "list-unsubscribe-post"})


@dataclass(frozen=True, slots=True)
class StoredBlob:
    """Bytes that are in the blob store already; `size` is how many.

    Accepting the message copies them under a key of the email. So each blob has one owner: the
    caller may delete its own right afterwards, and the email's is purged with the email.
    """

    key: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingAttachment:
    """With a `content_id`, which HTML refers to as `cid:...`, it is an inline part."""

    filename: str
    content: bytes | StoredBlob
    content_type: str = "application/octet-stream"
    content_id: str = ""

    @property
    def size(self) -> int:
        return self.content.size if isinstance(self.content, StoredBlob) else len(self.content)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingMessage:
    """One email before it is accepted. `html`, `text` or both are required.

    Without a `text` one is generated from the HTML, unless it is "": then there is no text part.
    `unsubscribe` adds one-click unsubscribe (RFC 8058). `owner` is an opaque key of the app that
    sends it, by which its emails can be found.
    """

    sender: Mailbox
    to: Sequence[Mailbox]
    cc: Sequence[Mailbox] = ()
    bcc: Sequence[Mailbox] = ()
    reply_to: Sequence[Mailbox] = ()
    subject: str
    html: str = ""
    text: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    attachments: Sequence[OutgoingAttachment] = ()
    scheduled_at: datetime | None = None
    unsubscribe: bool = False
    owner: str = ""
    # Each address once, with the kind of its first occurrence.
    recipients: Sequence[tuple[str, Mailbox]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        first: dict[str, tuple[str, Mailbox]] = {}
        for kind, mailboxes in (("to", self.to), ("cc", self.cc), ("bcc", self.bcc)):
            for mailbox in mailboxes:
                first.setdefault(identity(mailbox.address), (kind, mailbox))
        object.__setattr__(self, "recipients", tuple(first.values()))

    def check(self) -> None:
        """ValidationFailed names the fields that make the message impossible to send."""
        if problems := dict(self.problems()):
            raise ValidationFailed(
                {".".join(map(str, path)): problem for path, problem in problems.items()}
            )

    def problems(self) -> Iterator[tuple[FieldPath, str]]:
        """Each wrong field, and what is wrong with it."""
        if not self.html and not self.text:
            yield ("html",), "`html` or `text` is required, or both"
        count = len(self.recipients)
        if not count:
            yield ("to",), "must not be empty"
        if self.unsubscribe:
            yield from self._unsubscribe_problems(count)
        if count > MAX_RECIPIENTS:
            yield ("to",), f"`to`, `cc` and `bcc` may have {MAX_RECIPIENTS} recipients in total"
        yield from self._header_problems()
        yield from self._placeholder_problems()
        if self._may_be_large() and self.room() < 0:
            sizes = self._sizes()
            yield (max(sizes, key=sizes.__getitem__),), TOO_LARGE

    def room(self) -> int:
        """Bytes on the wire that are left for the content of attachments."""
        return MAX_MESSAGE - HEADER_RESERVE - sum(self._sizes().values())

    def _unsubscribe_problems(self, count: int) -> Iterator[tuple[FieldPath, str]]:
        if count > 1:
            yield (
                ("to",),
                f"an email with `X-OpenSend-Unsubscribe` or `{UNSUBSCRIBE_URL}` must have exactly"
                " one recipient: the unsubscribe link is personal",
            )
        for name in self.headers:
            if name.lower() in _LIST_HEADERS:
                yield (
                    ("headers", name),
                    "is set by the platform for one-click unsubscribe and cannot be given as well",
                )

    def _header_problems(self) -> Iterator[tuple[FieldPath, str]]:
        """What would go out twice, or could not be written into the message."""
        first: dict[str, str] = {}
        for name, value in self.headers.items():
            if (other := first.setdefault(name.lower(), name)) != name:
                yield (
                    ("headers", name),
                    f"is the same header as `{other}`: names are case-insensitive, and each may"
                    " be given once",
                )
            elif name.lower() == UNSUBSCRIBE_HEADER:
                continue
            elif problem := _header_problem(name, value):
                yield ("headers", name), problem

    def _placeholder_problems(self) -> Iterator[tuple[FieldPath, str]]:
        for field_name, text in (("html", self.html), ("text", self.text or "")):
            if found := misspelt_placeholder(text):
                yield (
                    (field_name,),
                    f"has `{found}`, which is not replaced: the placeholder is `{UNSUBSCRIBE_URL}`",
                )
        if names_placeholder(self.subject):
            yield ("subject",), _NO_PLACEHOLDER

    def _may_be_large(self) -> bool:
        # A character is up to four bytes, which become six in base64.
        return bool(self.attachments) or len(self.html) + len(self.text or "") > 1_000_000

    def _sizes(self) -> dict[str, int]:
        """Bytes on the wire by field; an upper bound."""
        html, text = (
            text_size(each) + base64_size(replaced_size(each))
            for each in (self.html, self.text or "")
        )
        return {
            # HTML without a text also becomes the text part.
            "html": html * (2 if self.text is None else 1),
            "text": text,
            "attachments": sum(
                base64_size(each.size) + PART_HEADER_RESERVE for each in self.attachments
            ),
            "headers": sum(field_size(name + value) for name, value in self.headers.items()),
            "to": sum(field_size(str(box)) for _, box in self.recipients),
        }


def _header_problem(name: str, value: str) -> str:
    if names_placeholder(value):
        return f"{_NO_PLACEHOLDER}; `X-OpenSend-Unsubscribe: true` sets the List-Unsubscribe header"
    try:
        custom_field(name, value)
    except ValueError as error:
        return str(error)
    return ""
