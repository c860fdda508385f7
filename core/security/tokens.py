"""Signed tokens for URLs and addresses: base64url(key id, MAC, payload), without padding.

A token contains everything needed to act on it, so links work even when the rows they refer to are
gone. The key id identifies the key *and* the purpose, so a token for one purpose is invalid for
another; a new payload format needs a new purpose.

Keys come from TRACKING_KEYS, newest first: the first key signs, every key verifies.
"""

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from dataclasses import dataclass
from functools import lru_cache

from django.conf import settings

_KEY_ID_LENGTH = 4
_MAC_LENGTH = 16  # bytes of the truncated HMAC-SHA256; RFC 2104 section 5 requires half
_HEAD_LENGTH = _KEY_ID_LENGTH + _MAC_LENGTH


class BadToken(ValueError):
    """The token is malformed or was not signed for this purpose with one of our keys."""


@dataclass(frozen=True, slots=True)
class Purpose:
    """What a kind of token is for. The app that signs them packs the payload, best as a struct."""

    name: str

    def sign(self, payload: bytes) -> str:
        (key_id, key), *_ = _keys(tuple(settings.TRACKING_KEYS), self.name).items()
        return _encoded(key_id + _mac(key, payload) + payload)

    def read(self, token: str) -> bytes:
        """The payload of a token; BadToken unless it was signed for this purpose."""
        data = _decoded(token)
        key = _keys(tuple(settings.TRACKING_KEYS), self.name).get(data[:_KEY_ID_LENGTH])
        mac, payload = data[_KEY_ID_LENGTH:_HEAD_LENGTH], data[_HEAD_LENGTH:]
        if key is None or not hmac.compare_digest(mac, _mac(key, payload)):
            raise BadToken
        return payload


def _encoded(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _decoded(token: str) -> bytes:
    try:
        data = urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4))
    except (NotBase64, UnicodeEncodeError):
        raise BadToken from None
    # Each token has one valid spelling, but the decoder ignores characters it doesn't know.
    if _encoded(data) != token:
        raise BadToken
    return data


def _mac(key: bytes, payload: bytes) -> bytes:
    return hmac.digest(key, payload, "sha256")[:_MAC_LENGTH]


@lru_cache(maxsize=32)
def _keys(secrets: tuple[str, ...], purpose: str) -> dict[bytes, bytes]:
    """Maps key ids to keys, in the order of the secrets."""
    label = f"opensend {purpose} 1".encode()
    keys = [hmac.digest(secret.encode(), label, "sha256") for secret in secrets]
    return {hashlib.sha256(key).digest()[:_KEY_ID_LENGTH]: key for key in keys}
