"""What the links in a mail say, signed: base64url(key id, MAC, payload), without padding.

All that is needed to answer a link is in it, so links work whatever becomes of the mail's row, its
domain and the database. The key id is of the key *and* of what the token is for, so a token of one
purpose is nothing for another, and a change of a payload's format is a new purpose.

Keys come from TRACKING_KEYS, newest first: the first signs, all of them open.
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

HONEYPOT = 0  # the number of the link that no person sees
MAX_LINKS = 0xFFFF

_ID = 4
_MAC = 16  # octets of HMAC-SHA256 that are sent; RFC 2104 section 5 asks for half at least
_NOBODY = UUID(int=0)
_OPEN = Struct("!16s16s")
_CLICK = Struct("!16s16sHH")
_UNSUBSCRIBE = Struct("!16s16s")


class BadToken(ValueError):
    """Nothing that we have signed."""


@dataclass(frozen=True, slots=True)
class Open:
    """`recipient_id` is that of the email's recipient, None when several got the same message."""

    email_id: UUID
    recipient_id: UUID | None


@dataclass(frozen=True, slots=True)
class Click:
    """The `link`-th of the email's `links` links, from 1 on, or HONEYPOT; it leads to `target`."""

    email_id: UUID
    recipient_id: UUID | None
    link: int
    links: int
    target: str


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """`address` gets no more mail of the workspace. Names all of it: the email may be gone."""

    workspace_id: UUID
    email_id: UUID
    address: str


def sign_open(said: Open) -> str:
    return _signed("open", _OPEN.pack(said.email_id.bytes, _octets(said.recipient_id)))


def sign_click(said: Click) -> str:
    head = _CLICK.pack(said.email_id.bytes, _octets(said.recipient_id), said.link, said.links)
    return _signed("click", head + said.target.encode())


def sign_unsubscribe(said: Unsubscribe) -> str:
    head = _UNSUBSCRIBE.pack(said.workspace_id.bytes, said.email_id.bytes)
    return _signed("unsubscribe", head + said.address.encode())


def read_open(token: str) -> Open:
    """Raises BadToken, as the others do."""
    email, recipient = _OPEN.unpack(_payload("open", token))
    return Open(UUID(bytes=email), _uuid(recipient))


def read_click(token: str) -> Click:
    payload = _payload("click", token)
    email, recipient, link, links = _CLICK.unpack_from(payload)
    return Click(UUID(bytes=email), _uuid(recipient), link, links, payload[_CLICK.size :].decode())


def read_unsubscribe(token: str) -> Unsubscribe:
    payload = _payload("unsubscribe", token)
    workspace, email = _UNSUBSCRIBE.unpack_from(payload)
    address = payload[_UNSUBSCRIBE.size :].decode()
    return Unsubscribe(UUID(bytes=workspace), UUID(bytes=email), address)


def _octets(recipient_id: UUID | None) -> bytes:
    return (recipient_id or _NOBODY).bytes


def _uuid(octets: bytes) -> UUID | None:
    found = UUID(bytes=octets)
    return None if found == _NOBODY else found


def _signed(purpose: str, payload: bytes) -> str:
    (key_id, key), *_ = _keys(tuple(settings.TRACKING_KEYS), purpose).items()
    return urlsafe_b64encode(key_id + _mac(key, payload) + payload).rstrip(b"=").decode()


def _payload(purpose: str, token: str) -> bytes:
    octets = _decoded(token)
    key = _keys(tuple(settings.TRACKING_KEYS), purpose).get(octets[:_ID])
    mac, payload = octets[_ID : _ID + _MAC], octets[_ID + _MAC :]
    if key is None or not hmac.compare_digest(mac, _mac(key, payload)):
        raise BadToken
    return payload


def _decoded(token: str) -> bytes:
    try:
        octets = urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4))
    except (NotBase64, UnicodeEncodeError):
        raise BadToken from None
    # One token has one spelling: the decoder is lenient about characters that mean nothing.
    if urlsafe_b64encode(octets).rstrip(b"=").decode() != token:
        raise BadToken
    return octets


def _mac(key: bytes, payload: bytes) -> bytes:
    return hmac.digest(key, payload, "sha256")[:_MAC]


@lru_cache(maxsize=32)
def _keys(secrets: tuple[str, ...], purpose: str) -> dict[bytes, bytes]:
    """The key of each secret by its id, in their order."""
    label = f"opensend tracking {purpose} 1".encode()
    keys = [hmac.digest(secret.encode(), label, "sha256") for secret in secrets]
    return {hashlib.sha256(key).digest()[:_ID]: key for key in keys}
