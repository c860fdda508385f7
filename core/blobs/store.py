"""The interface of blob stores."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol


class BlobStore(Protocol):
    """Thread-safe. Every method may raise BlobStoreUnavailable."""

    def put(self, key: str, content: bytes) -> None:
        """Store atomically: durable on return, and never partially visible to readers."""
        ...

    def read(self, key: str) -> bytes:
        """Raises BlobMissing if no blob has this key."""
        ...

    def delete(self, keys: Sequence[str]) -> None:
        """Delete up to 1,000 keys; keys without a blob are ignored."""
        ...

    def keys(self, prefix: str, *, after: str, limit: int) -> list[str]:
        """The first keys with `prefix` after the key `after`, sorted; `limit` is at most 1,000.

        May include the remains of a crashed put, under a key that extends the intended one.
        """
        ...

    def signed_url(
        self, key: str, *, filename: str, content_type: str, expires_at: datetime
    ) -> str:
        """A public download URL, valid until `expires_at`; served as an attachment."""
        ...
