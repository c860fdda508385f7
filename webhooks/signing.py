"""The headers that prove a webhook is ours.

Standard Webhooks 1.0 (`webhook-*`), the same under the names that svix's libraries read
(`svix-*`), and `X-Signature` for receivers without a library.
"""

import base64
import hashlib
import hmac
import secrets
from functools import lru_cache

from core import crypto

PREFIX = "whsec_"


def new_secret() -> str:
    """`whsec_` and the standard base64 of 32 random bytes."""
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def key_of(secret: str) -> bytes:
    """The HMAC key inside a secret; binascii.Error when it isn't one of ours."""
    return base64.b64decode(secret.removeprefix(PREFIX), validate=True)


@lru_cache(maxsize=10_000)
def opened(encrypted: str) -> tuple[str, bytes]:
    """A stored secret and its key; InvalidToken or binascii.Error when it can't be read."""
    secret = crypto.decrypt(encrypted)
    return secret, key_of(secret)


def headers(
    *, secret: str, key: bytes, event_id: str, attempt: int, timestamp: int, body: bytes
) -> dict[str, str]:
    """`timestamp` is in unix seconds and of this attempt; `event_id` is the body's own `id`."""
    at = str(timestamp)
    signed = b"%s.%s.%s" % (event_id.encode(), at.encode(), body)
    digest = hmac.digest(key, signed, hashlib.sha256)
    signature = "v1," + base64.b64encode(digest).decode()
    plain = hmac.digest(secret.encode(), at.encode() + b"." + body, hashlib.sha256).hex()
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
