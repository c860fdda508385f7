"""Errors of blob storage."""

from core.errors import StorageUnavailable


class BlobMissing(Exception):
    """No blob has this key."""


class BlobStoreUnavailable(StorageUnavailable):
    """The store does not respond or denies access; a retry may succeed."""
