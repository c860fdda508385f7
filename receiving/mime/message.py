"""A message as a mail client would show it."""

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from html import escape

from receiving.mime import bodies, content, filenames, mailboxes, structure, uuencoded
from receiving.mime import transfer_encodings as encodings
from receiving.mime.charsets import is_known
from receiving.mime.encoded_words import decode_words, unfold
from receiving.mime.header_fields import Octets
from receiving.mime.mailboxes import Mailbox
from receiving.mime.structure import Part, Structure
from receiving.mime.visible_text import visible_text, without_nul

MAX_TEXT = 4 * 1024 * 1024  # octets of one body part that are read
MAX_REFERENCES = 20

_IDS = re.compile(r"<\s*+([^<>\s]++)\s*+>")


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file of a message. `chunks` yields its octets as often as it is called."""

    filename: str
    sent_filename: str
    content_type: str
    disposition: str
    content_id: str
    source: Part | bytes
    _octets: Octets

    def chunks(self) -> Iterator[bytes]:
        if isinstance(self.source, bytes):
            yield self.source
        else:
            yield from content.chunks(self._octets, self.source)


@dataclass(frozen=True, slots=True)
class HeaderField:
    """A decoded field on one line."""

    name: str
    value: str


@dataclass(slots=True)
class Message:
    """Missing values are empty; `defects` are names of what was wrong with the MIME, in the order
    in which they were found. Ids are without angle brackets."""

    fields: tuple[HeaderField, ...]
    structure: Structure
    text: str = ""
    html: str = ""
    made_from: str = ""  # `text` or `html`: the body of which the other one was made
    hidden_removed: int = 0
    attachments: list[Attachment] = field(default_factory=list)
    defects: list[str] = field(default_factory=list)

    def value(self, name: str) -> str:
        """The value of the first field with this lower-case name, or ""."""
        return next((each.value for each in self.fields if each.name.lower() == name), "")

    def mailboxes(self, name: str) -> list[Mailbox]:
        """Those of all fields with this lower-case name. Encoded words are decoded after the
        mailboxes were separated."""
        return [
            mailbox
            for each in self.structure.root.fields
            if each.name.lower() == name
            for mailbox in mailboxes.parse(without_nul(unfold(each.raw)))
        ]

    @property
    def sender(self) -> Mailbox | None:
        """The first mailbox of From, else of Sender (RFC 5322 section 3.6.2)."""
        return next(iter(self.mailboxes("from") or self.mailboxes("sender")), None)

    @property
    def subject(self) -> str:
        return self.value("subject")

    @property
    def date(self) -> datetime | None:
        with suppress(ValueError, TypeError, IndexError, OverflowError):
            date = parsedate_to_datetime(self.value("date")[:200])
            return (date if date.tzinfo else date.replace(tzinfo=UTC)).astimezone(UTC)
        return None

    @property
    def message_id(self) -> str:
        return next(iter(_ids(self.value("message-id"))), "")

    @property
    def in_reply_to(self) -> str:
        return next(iter(_ids(self.value("in-reply-to"))), "")

    @property
    def references(self) -> list[str]:
        """The 20 last ids, oldest first."""
        return list(dict.fromkeys(_ids(self.value("references"))))[-MAX_REFERENCES:]


def read(octets: Octets) -> Message:
    """The message; structure.NoHeader if there is none. The octets must outlive its attachments."""
    whole = structure.parse(octets)
    message = Message(_decoded_fields(whole), whole, defects=list(whole.defects))
    chosen = bodies.choose(whole.root)
    _Reader(message, whole.octets).read(chosen)
    return message


class _Reader:
    def __init__(self, message: Message, octets: Octets) -> None:
        self._message = message
        self._octets = octets

    def read(self, chosen: bodies.Bodies) -> None:
        message = self._message
        parts = {id(part): part for part in [*chosen.text, *chosen.html]}  # many are in both
        texts = {key: self._text(part) for key, part in parts.items()}
        has_html = any(_is_html(part) for part in chosen.html)
        has_text = any(not _is_html(part) for part in chosen.text)
        message.text = _joined(self._as_text(part, texts[id(part)]) for part in chosen.text)
        message.html = "\n".join(_as_html(part, texts[id(part)]) for part in chosen.html)
        if has_html != has_text:
            message.made_from = "html" if has_html else "text"
        message.attachments += [self._attachment(part) for part in chosen.attachments]

    def _text(self, part: Part) -> str:
        self._note_unknown(part)
        text, is_cut = content.text(self._octets, part, limit=MAX_TEXT)
        if is_cut:
            self._note("text_truncated")
        text = self._without_nul(text)
        if _is_html(part):
            return text
        if part.content_type.parameters.get("format", "").lower() == "flowed":
            text = _unflowed(text, part.content_type.parameters.get("delsp", "").lower() == "yes")
        text, files = uuencoded.extract(text)
        self._message.attachments += [self._uuencoded(file) for file in files]
        return text

    def _as_text(self, part: Part, text: str) -> str:
        if not _is_html(part):
            return text
        visible = visible_text(text)
        self._message.hidden_removed += visible.removed
        return visible.text

    def _attachment(self, part: Part) -> Attachment:
        self._note_unknown(part)
        sent = without_nul(content.filename(part))
        return Attachment(
            filename=filenames.sanitised(sent) or self._default_name(part),
            sent_filename=sent,
            content_type=part.content_type.value[:255],
            disposition=content.disposition(part).value,
            content_id=without_nul(content.content_id(part)),
            source=part,
            _octets=self._octets,
        )

    def _default_name(self, part: Part) -> str:
        match part.content_type.value:
            case "message/rfc822" | "message/global":
                return filenames.for_message(self._subject_of_attached(part))
            case "text/calendar":
                return "invite.ics"
            case _:
                return ""

    def _subject_of_attached(self, part: Part) -> str:
        with suppress(structure.NoHeader):
            head = b"".join(_up_to(content.chunks(self._octets, part), 64 * 1024))
            return decode_words(structure.parse(head).root.value("subject"))
        return ""

    def _uuencoded(self, file: uuencoded.File) -> Attachment:
        return Attachment(
            filename=filenames.sanitised(file.filename),
            sent_filename=file.filename,
            content_type="application/octet-stream",
            disposition="attachment",
            content_id="",
            source=file.octets,
            _octets=b"",
        )

    def _without_nul(self, text: str) -> str:
        if "\0" in text:
            self._note("nul_characters")
        return without_nul(text)

    def _note_unknown(self, part: Part) -> None:
        if not encodings.is_known(content.encoding(part)):
            self._note("unknown_transfer_encoding")
        if not is_known(part.content_type.parameters.get("charset", "")):
            self._note("unknown_charset")

    def _note(self, defect: str) -> None:
        if defect not in self._message.defects:
            self._message.defects.append(defect)


def _decoded_fields(whole: Structure) -> tuple[HeaderField, ...]:
    return tuple(
        HeaderField(each.name, without_nul(decode_words(unfold(each.raw))))
        for each in whole.root.fields
    )


def _ids(value: str) -> list[str]:
    """Message-IDs without angle brackets; some clients leave those out."""
    return _IDS.findall(value) or [each.strip("<>,;") for each in value.split()]


def _is_html(part: Part) -> bool:
    return part.content_type.value == "text/html"


def _as_html(part: Part, text: str) -> str:
    if _is_html(part):
        return text
    return f'<div style="white-space: pre-wrap">{escape(text)}</div>' if text else ""


def _joined(texts: Iterable[str]) -> str:
    """Each text begins on a line of its own."""
    return "\n".join(text for text in texts if text.strip())


def _unflowed(text: str, drops_space: bool) -> str:
    """RFC 3676 section 4: a line that ends with a space goes on in the next one of its depth."""
    paragraphs: list[list[str]] = []
    flowing: str | None = None  # the quote marks of an unfinished paragraph
    for line in text.split("\n"):
        rest = line.lstrip(">")
        marks = line[: len(line) - len(rest)]
        rest = rest.removeprefix(" ")
        is_flowed = rest.endswith(" ") and rest != "-- "
        if flowing != marks or rest == "-- ":
            paragraphs.append([f"{marks} " if marks else ""])
        paragraphs[-1].append(rest[:-1] if is_flowed and drops_space else rest)
        flowing = marks if is_flowed else None
    return "\n".join(map("".join, paragraphs))


def _up_to(chunks: Iterator[bytes], size: int) -> Iterator[bytes]:
    for chunk in chunks:
        yield chunk[:size]
        size -= len(chunk)
        if size <= 0:
            break
