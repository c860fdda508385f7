"""What a store of blobs can do."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol


class BlobStore(Protocol):
    """Any method may raise BlobStoreUnavailable. Called from many threads at once."""

    def put(self, key: str, content: bytes) -> None:
        """Durable when this returns; a reader never sees half of it."""
        ...

    def read(self, key: str) -> bytes:
        """BlobMissing when there is none."""
        ...

    def delete(self, keys: Sequence[str]) -> None:
        """At most 1,000; those that are gone already are no error."""
        ...

    def keys(self, prefix: str, *, after: str, limit: int) -> list[str]:
        """The first keys behind `after` that begin with `prefix`, in order; at most 1,000.

        A put that died midway may be among them, under a key that continues its own.
        """
        ...

    def signed_url(
        self, key: str, *, filename: str, content_type: str, expires_at: datetime
    ) -> str:
        """Where anybody may download it until then, never shown as a page."""
        ...
