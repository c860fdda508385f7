"""Signed tokens for URLs and addresses: base64url(key id, MAC, payload), without padding.

Everything that is needed to act on a token is in it, so links work whatever happens to the rows
they are about. The key id is of the key *and* the purpose, so a token of one purpose is nothing for
another; a change of a payload's format is a new purpose.

Keys come from TRACKING_KEYS, newest first: the first signs, all of them verify.
"""

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from dataclasses import dataclass
from functools import lru_cache

from django.conf import settings

_ID = 4
_MAC = 16  # octets of HMAC-SHA256 that are sent; RFC 2104 section 5 asks for half at least


class BadToken(ValueError):
    """This installation has not signed it."""


@dataclass(frozen=True, slots=True)
class Purpose:
    """What tokens are for. Their payload is a compact struct of the app that signs them."""

    name: str

    def sign(self, payload: bytes) -> str:
        (key_id, key), *_ = _keys(tuple(settings.TRACKING_KEYS), self.name).items()
        return urlsafe_b64encode(key_id + _mac(key, payload) + payload).rstrip(b"=").decode()

    def read(self, token: str) -> bytes:
        """The payload; BadToken for what was not signed, or for something else."""
        octets = _decoded(token)
        key = _keys(tuple(settings.TRACKING_KEYS), self.name).get(octets[:_ID])
        mac, payload = octets[_ID : _ID + _MAC], octets[_ID + _MAC :]
        if key is None or not hmac.compare_digest(mac, _mac(key, payload)):
            raise BadToken
        return payload


def _decoded(token: str) -> bytes:
    try:
        octets = urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4))
    except (NotBase64, UnicodeEncodeError):
        raise BadToken from None
    # One token has one spelling: the decoder ignores characters that mean nothing.
    if urlsafe_b64encode(octets).rstrip(b"=").decode() != token:
        raise BadToken
    return octets


def _mac(key: bytes, payload: bytes) -> bytes:
    return hmac.digest(key, payload, "sha256")[:_MAC]


@lru_cache(maxsize=32)
def _keys(secrets: tuple[str, ...], purpose: str) -> dict[bytes, bytes]:
    """The key of each secret by its id, in their order."""
    label = f"opensend {purpose} 1".encode()
    keys = [hmac.digest(secret.encode(), label, "sha256") for secret in secrets]
    return {hashlib.sha256(key).digest()[:_ID]: key for key in keys}
