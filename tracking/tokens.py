"""The tokens in the links of emails: what each contains, packed as a compact struct.

A token contains everything needed to answer its link, so links keep working when the email, its
domain or the database is gone. A new payload format needs a new purpose (core.security.tokens).
"""

from dataclasses import dataclass
from struct import Struct
from uuid import UUID

from core.security.tokens import BadToken, Purpose

__all__ = [
    "HONEYPOT",
    "MAX_LINKS",
    "BadToken",
    "Click",
    "Open",
    "Unsubscribe",
    "read_click",
    "read_open",
    "read_unsubscribe",
    "sign_click",
    "sign_open",
    "sign_unsubscribe",
]

HONEYPOT = 0  # the number of the hidden link
MAX_LINKS = 0xFFFF

_NO_RECIPIENT = UUID(int=0)
_OPEN, _OPEN_STRUCT = Purpose("tracking open"), Struct("!16s16s")
_CLICK, _CLICK_STRUCT = Purpose("tracking click"), Struct("!16s16sHH")
_UNSUBSCRIBE, _UNSUBSCRIBE_STRUCT = Purpose("tracking unsubscribe"), Struct("!16s16s")


@dataclass(frozen=True, slots=True)
class Open:
    """`recipient_id` is the email's recipient, None for a message to several."""

    email_id: UUID
    recipient_id: UUID | None


@dataclass(frozen=True, slots=True)
class Click:
    """Link number `link` of `links` (from 1, or HONEYPOT), which leads to `target`."""

    email_id: UUID
    recipient_id: UUID | None
    link: int
    links: int
    target: str


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """Unsubscribes `address` from the workspace. Self-contained: the email may be deleted."""

    workspace_id: UUID
    email_id: UUID
    address: str


def sign_open(content: Open) -> str:
    payload = _OPEN_STRUCT.pack(content.email_id.bytes, _uuid_bytes(content.recipient_id))
    return _OPEN.sign(payload)


def sign_click(content: Click) -> str:
    head = _CLICK_STRUCT.pack(
        content.email_id.bytes, _uuid_bytes(content.recipient_id), content.link, content.links
    )
    return _CLICK.sign(head + content.target.encode())


def sign_unsubscribe(content: Unsubscribe) -> str:
    head = _UNSUBSCRIBE_STRUCT.pack(content.workspace_id.bytes, content.email_id.bytes)
    return _UNSUBSCRIBE.sign(head + content.address.encode())


def read_open(token: str) -> Open:
    """Raises BadToken, like the other `read_` functions."""
    email, recipient = _OPEN_STRUCT.unpack(_OPEN.read(token))
    return Open(UUID(bytes=email), _recipient_id(recipient))


def read_click(token: str) -> Click:
    payload = _CLICK.read(token)
    email, recipient, link, links = _CLICK_STRUCT.unpack_from(payload)
    target = payload[_CLICK_STRUCT.size :].decode()
    return Click(UUID(bytes=email), _recipient_id(recipient), link, links, target)


def read_unsubscribe(token: str) -> Unsubscribe:
    payload = _UNSUBSCRIBE.read(token)
    workspace, email = _UNSUBSCRIBE_STRUCT.unpack_from(payload)
    address = payload[_UNSUBSCRIBE_STRUCT.size :].decode()
    return Unsubscribe(UUID(bytes=workspace), UUID(bytes=email), address)


def _uuid_bytes(recipient_id: UUID | None) -> bytes:
    return (recipient_id or _NO_RECIPIENT).bytes


def _recipient_id(data: bytes) -> UUID | None:
    recipient_id = UUID(bytes=data)
    return None if recipient_id == _NO_RECIPIENT else recipient_id
