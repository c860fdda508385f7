"""Errors of blob storage."""

from core.errors import DomainError


class BlobMissing(Exception):
    """No blob has this key."""


class BlobStoreUnavailable(DomainError):
    """The store does not respond or denies access; a retry may succeed."""

    name = "storage_unavailable"
    status = 503
