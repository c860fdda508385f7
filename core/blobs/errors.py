"""What may go wrong with blobs."""

from core.errors import DomainError


class BlobMissing(Exception):
    """There is nothing under this key."""


class BlobStoreUnavailable(DomainError):
    """The store doesn't answer or refuses us; another try may help."""

    name = "storage_unavailable"
    status = 503
