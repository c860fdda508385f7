"""Webhook signatures and the headers that carry them.

Standard Webhooks 1.0 (`webhook-*`, versions v1 and v1a), the same values under the names that
Svix libraries read (`svix-*`), and `X-Signature` for receivers without a library.
"""

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Self

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from core.security import crypto

PREFIX = "whsec_"
PRIVATE_PREFIX = "whsk_"
PUBLIC_PREFIX = "whpk_"
OVERLAP = timedelta(hours=24)
MAX_KEYS = 5  # active at once: each adds 47 characters to two headers, and 140 with v1a


@dataclass(frozen=True, slots=True)
class Key:
    """A signing secret, and an Ed25519 private key if the endpoint uses v1a.

    It signs until `until`, in unix seconds; None for the newest key.
    """

    secret: str
    private_key: str = ""
    until: int | None = None
    _hmac: bytes = field(init=False, repr=False, compare=False)
    _ed25519: Ed25519PrivateKey | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Raises binascii.Error when the secret isn't valid base64."""
        seed = _decoded(self.private_key, PRIVATE_PREFIX)
        object.__setattr__(self, "_hmac", _decoded(self.secret, PREFIX))
        object.__setattr__(
            self, "_ed25519", Ed25519PrivateKey.from_private_bytes(seed) if seed else None
        )

    @classmethod
    def new(cls, *, ed25519: bool = False) -> Self:
        """`whsec_` and the standard base64 of 32 random bytes; `whsk_` likewise."""
        return cls(_random(PREFIX), _random(PRIVATE_PREFIX) if ed25519 else "")

    @property
    def public_key(self) -> str:
        """`whpk_` and the base64 of the 32-byte Ed25519 public key; "" without v1a."""
        if self._ed25519 is None:
            return ""
        raw = self._ed25519.public_key().public_bytes_raw()
        return PUBLIC_PREFIX + base64.b64encode(raw).decode()

    def signatures(self, content: bytes) -> list[str]:
        signatures = ["v1," + _base64(hmac.digest(self._hmac, content, hashlib.sha256))]
        if self._ed25519 is not None:
            signatures.append("v1a," + _base64(self._ed25519.sign(content)))
        return signatures


@dataclass(frozen=True, slots=True)
class Keyring:
    """An endpoint's keys, newest first; older keys also sign until they expire."""

    keys: tuple[Key, ...]

    @classmethod
    def new(cls, *, ed25519: bool = False) -> Self:
        return cls((Key.new(ed25519=ed25519),))

    @property
    def newest(self) -> Key:
        return self.keys[0]

    def signing_at(self, timestamp: int) -> list[Key]:
        return [key for key in self.keys if key.until is None or key.until > timestamp]

    @property
    def previous_ends_at(self) -> datetime | None:
        """When the previous secret expires; None when there is none."""
        if len(self.keys) == 1 or self.keys[1].until is None:
            return None
        return datetime.fromtimestamp(self.keys[1].until, UTC)

    def rotatable_from(self, at: datetime) -> datetime:
        """`at` if fewer than MAX_KEYS are active then, otherwise when the first expires."""
        ends = [key.until for key in self.signing_at(int(at.timestamp())) if key.until is not None]
        if len(ends) + 1 < MAX_KEYS:
            return at
        return datetime.fromtimestamp(min(ends), UTC)

    def rotated(self, at: datetime) -> Self:
        """Add a new key; the previous one expires after OVERLAP, and expired keys are removed."""
        now = int(at.timestamp())
        until = now + int(OVERLAP.total_seconds())
        retired = Key(self.newest.secret, self.newest.private_key, until)
        older = [key for key in self.signing_at(now) if key.until is not None]
        fresh = Key.new(ed25519=bool(self.newest.private_key))
        return type(self)((fresh, retired, *older))

    def with_ed25519(self) -> Self:
        """Add a private key to the newest key unless it has one; the secret stays the same."""
        if self.newest.private_key:
            return self
        newest = replace(self.newest, private_key=_random(PRIVATE_PREFIX))
        return type(self)((newest, *self.keys[1:]))

    def without_ed25519(self) -> Self:
        """Remove the private keys of all keys."""
        return type(self)(tuple(replace(key, private_key="") for key in self.keys))

    def encrypted(self) -> str:
        """As encrypted JSON, for storage."""
        rows = [[key.secret, key.private_key, key.until] for key in self.keys]
        return crypto.encrypt(orjson.dumps(rows).decode())


@lru_cache(maxsize=10_000)
def decrypt_keyring(token: str) -> Keyring:
    """Decrypt a stored keyring. Raises InvalidToken or binascii.Error when it can't be read."""
    return Keyring(tuple(Key(*row) for row in orjson.loads(crypto.decrypt(token))))


def headers(
    keyring: Keyring, *, event_id: str, attempt: int, timestamp: int, body: bytes
) -> dict[str, str]:
    """`timestamp` is this attempt's, in unix seconds; `event_id` is the `id` in the body.

    X-Signature holds a single value, so only the newest secret signs it.
    """
    at = str(timestamp)
    content = b"%s.%s.%s" % (event_id.encode(), at.encode(), body)
    signature = " ".join(
        each for key in keyring.signing_at(timestamp) for each in key.signatures(content)
    )
    newest = keyring.newest.secret.encode()
    plain = hmac.digest(newest, at.encode() + b"." + body, hashlib.sha256).hex()
    return {
        "webhook-id": event_id,
        "webhook-timestamp": at,
        "webhook-signature": signature,
        "svix-id": event_id,
        "svix-timestamp": at,
        "svix-signature": signature,
        "X-Event-Id": event_id,
        "X-Timestamp": at,
        "X-Signature": plain,
        "X-Attempt": str(attempt),
    }


def _random(prefix: str) -> str:
    return prefix + _base64(secrets.token_bytes(32))


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _decoded(text: str, prefix: str) -> bytes:
    return base64.b64decode(text.removeprefix(prefix), validate=True)
