"""Reports that come by mail: delivery status (RFC 3464), feedback (RFC 5965)."""

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from receiving.mime import content, structure
from receiving.mime.encoded_words import decode_words, unfold
from receiving.mime.header_fields import Field, first, read_block
from receiving.mime.message import Message
from receiving.mime.structure import Part

MAX_OCTETS = 256 * 1024  # of a report, and of the header of the returned message
MAX_RECIPIENTS = 1_000

_STATUS_TYPES = {"message/delivery-status", "message/global-delivery-status"}
_RETURNED_TYPES = {
    "message/rfc822",
    "message/global",
    "message/rfc822-headers",
    "message/global-headers",
    "text/rfc822-headers",
}
_STATUS = re.compile(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}")
_ACTIONS = {"failed", "delayed", "delivered", "relayed", "expanded"}


@dataclass(frozen=True, slots=True)
class RecipientStatus:
    """What one delivery report says of one recipient (RFC 3464 section 2.3). `action` is `failed`,
    `delayed`, `delivered`, `relayed` or `expanded`; `status` an RFC 3463 code, or ""."""

    address: str  # as the sender wrote it, where the report has it
    final_address: str
    action: str
    status: str
    diagnostic_code: str
    remote_mta: str


@dataclass(frozen=True, slots=True)
class DeliveryReport:
    reporting_mta: str
    envelope_id: str
    recipients: tuple[RecipientStatus, ...]


@dataclass(frozen=True, slots=True)
class FeedbackReport:
    """A complaint (RFC 5965 section 3). `feedback_type` is lower-case, such as `abuse`."""

    feedback_type: str
    user_agent: str
    original_recipients: tuple[str, ...]
    arrival_date: str


@dataclass(frozen=True, slots=True)
class Reports:
    """The reports of a message, and the header of the message that they are about."""

    delivery: DeliveryReport | None = None
    feedback: FeedbackReport | None = None
    returned: tuple[Field, ...] = field(default=())

    def returned_value(self, name: str) -> str:
        """The decoded value of a returned field with this lower-case name, or ""."""
        return decode_words(unfold(first(self.returned, name)))


def reports(message: Message) -> Reports:
    """Those of a message that has any. Most relays send a multipart/report (RFC 6522), but some put
    the parts elsewhere."""
    delivery = feedback = None
    returned: tuple[Field, ...] = ()
    for part in message.structure.root.walk():
        kind = part.content_type.value
        if kind in _STATUS_TYPES and delivery is None:
            delivery = _delivery(list(_blocks(_head(message, part))))
        elif kind == "message/feedback-report" and feedback is None:
            feedback = _feedback(list(_blocks(_head(message, part))))
        elif kind in _RETURNED_TYPES and not returned:
            returned = _header(_head(message, part))
    return Reports(delivery, feedback, returned if delivery or feedback else ())


def _head(message: Message, part: Part) -> bytes:
    octets = b""
    for chunk in content.chunks(message.structure.octets, part):
        octets += chunk
        if len(octets) > MAX_OCTETS:
            break
    return octets[:MAX_OCTETS]


def _header(octets: bytes) -> tuple[Field, ...]:
    with suppress(structure.NoHeader):
        return structure.parse(octets).root.fields
    return ()


def _blocks(octets: bytes) -> Iterator[dict[str, list[str]]]:
    """The groups of fields: of the message first, then of its recipients (RFC 3464 section 2.1)."""
    position, count = 0, 0
    while position < len(octets) and count <= MAX_RECIPIENTS:
        block = read_block(octets, position, len(octets))
        if block.fields:
            found: dict[str, list[str]] = {}
            for each in block.fields:
                found.setdefault(each.name.lower(), []).append(decode_words(unfold(each.raw)))
            count += 1
            yield found
        position = max(block.body, position + 1) if block.fields else _next_line(octets, position)


def _next_line(octets: bytes, position: int) -> int:
    found = octets.find(b"\n", position)
    return len(octets) if found < 0 else found + 1


def _delivery(blocks: list[dict[str, list[str]]]) -> DeliveryReport | None:
    if not blocks:
        return None
    # Some put all into one group.
    recipients = [
        each for each in blocks if "final-recipient" in each or "original-recipient" in each
    ]
    return DeliveryReport(
        reporting_mta=_typed(_value(blocks[0], "reporting-mta")),
        envelope_id=_value(blocks[0], "original-envelope-id"),
        recipients=tuple(map(_recipient, recipients)),
    )


def _recipient(block: dict[str, list[str]]) -> RecipientStatus:
    final = _address(_value(block, "final-recipient"))
    status = _STATUS.search(_value(block, "status"))
    action = _value(block, "action").partition(" ")[0].lower()
    return RecipientStatus(
        address=_address(_value(block, "original-recipient")) or final,
        final_address=final,
        action=action if action in _ACTIONS else "",
        status=status[0] if status else "",
        diagnostic_code=_value(block, "diagnostic-code")[:2_000],
        remote_mta=_typed(_value(block, "remote-mta"))[:255],
    )


def _feedback(blocks: list[dict[str, list[str]]]) -> FeedbackReport | None:
    if not blocks:
        return None
    block = blocks[0]
    recipients = [_address(each) for each in block.get("original-rcpt-to", [])]
    return FeedbackReport(
        feedback_type=_value(block, "feedback-type").lower()[:100],
        user_agent=_value(block, "user-agent")[:255],
        original_recipients=tuple(each for each in recipients if each)[:MAX_RECIPIENTS],
        arrival_date=_value(block, "arrival-date") or _value(block, "received-date"),
    )


def _value(block: dict[str, list[str]], name: str) -> str:
    return next(iter(block.get(name, [])), "").strip()


def _typed(value: str) -> str:
    """`dns; mx.example.com` without its type."""
    return value.rpartition(";")[2].strip()


def _address(value: str) -> str:
    """The address of `rfc822; <a@example.com>` (RFC 3464 section 2.3.1)."""
    return _typed(value).strip("<> \t")[:500]
