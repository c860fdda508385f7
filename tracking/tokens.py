"""Signed tokens in the links of emails: base64url(key id, MAC, payload), without padding.

A token contains everything needed to answer its link, so links keep working when the email, its
domain or the database is gone. The key id identifies the key *and* the purpose, so a token for one
purpose is invalid for another; a new payload format needs a new purpose.

Keys come from TRACKING_KEYS, newest first: the first key signs, every key verifies.
"""

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from dataclasses import dataclass
from functools import lru_cache
from struct import Struct
from uuid import UUID

from django.conf import settings

HONEYPOT = 0  # the number of the hidden link
MAX_LINKS = 0xFFFF

_KEY_ID_LENGTH = 4
_MAC_LENGTH = 16  # bytes of the truncated HMAC-SHA256; RFC 2104 section 5 requires half
_HEAD_LENGTH = _KEY_ID_LENGTH + _MAC_LENGTH
_NO_RECIPIENT = UUID(int=0)
_OPEN = Struct("!16s16s")
_CLICK = Struct("!16s16sHH")
_UNSUBSCRIBE = Struct("!16s16s")


class BadToken(ValueError):
    """The token is malformed or was not signed with one of our keys."""


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
    return _signed("open", _OPEN.pack(content.email_id.bytes, _uuid_bytes(content.recipient_id)))


def sign_click(content: Click) -> str:
    head = _CLICK.pack(
        content.email_id.bytes, _uuid_bytes(content.recipient_id), content.link, content.links
    )
    return _signed("click", head + content.target.encode())


def sign_unsubscribe(content: Unsubscribe) -> str:
    head = _UNSUBSCRIBE.pack(content.workspace_id.bytes, content.email_id.bytes)
    return _signed("unsubscribe", head + content.address.encode())


def read_open(token: str) -> Open:
    """Raises BadToken, like the other `read_` functions."""
    email, recipient = _OPEN.unpack(_payload("open", token))
    return Open(UUID(bytes=email), _recipient_id(recipient))


def read_click(token: str) -> Click:
    payload = _payload("click", token)
    email, recipient, link, links = _CLICK.unpack_from(payload)
    return Click(
        UUID(bytes=email), _recipient_id(recipient), link, links, payload[_CLICK.size :].decode()
    )


def read_unsubscribe(token: str) -> Unsubscribe:
    payload = _payload("unsubscribe", token)
    workspace, email = _UNSUBSCRIBE.unpack_from(payload)
    address = payload[_UNSUBSCRIBE.size :].decode()
    return Unsubscribe(UUID(bytes=workspace), UUID(bytes=email), address)


def _uuid_bytes(recipient_id: UUID | None) -> bytes:
    return (recipient_id or _NO_RECIPIENT).bytes


def _recipient_id(data: bytes) -> UUID | None:
    recipient_id = UUID(bytes=data)
    return None if recipient_id == _NO_RECIPIENT else recipient_id


def _signed(purpose: str, payload: bytes) -> str:
    (key_id, key), *_ = _keys(tuple(settings.TRACKING_KEYS), purpose).items()
    return urlsafe_b64encode(key_id + _mac(key, payload) + payload).rstrip(b"=").decode()


def _payload(purpose: str, token: str) -> bytes:
    data = _decoded(token)
    key = _keys(tuple(settings.TRACKING_KEYS), purpose).get(data[:_KEY_ID_LENGTH])
    mac, payload = data[_KEY_ID_LENGTH:_HEAD_LENGTH], data[_HEAD_LENGTH:]
    if key is None or not hmac.compare_digest(mac, _mac(key, payload)):
        raise BadToken
    return payload


def _decoded(token: str) -> bytes:
    try:
        data = urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4))
    except (NotBase64, UnicodeEncodeError):
        raise BadToken from None
    # Each token has one valid spelling, but the decoder ignores characters it doesn't know.
    if urlsafe_b64encode(data).rstrip(b"=").decode() != token:
        raise BadToken
    return data


def _mac(key: bytes, payload: bytes) -> bytes:
    return hmac.digest(key, payload, "sha256")[:_MAC_LENGTH]


@lru_cache(maxsize=32)
def _keys(secrets: tuple[str, ...], purpose: str) -> dict[bytes, bytes]:
    """Maps key ids to keys, in the order of the secrets."""
    label = f"opensend tracking {purpose} 1".encode()
    keys = [hmac.digest(secret.encode(), label, "sha256") for secret in secrets]
    return {hashlib.sha256(key).digest()[:_KEY_ID_LENGTH]: key for key in keys}
