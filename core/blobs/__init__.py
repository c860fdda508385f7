"""Blob storage for bytes too large for rows: a folder on a single host, S3 for several.

A key is `<kind>/...` of lower-case letters, digits and `.`, `-`, `/`. Put the blob before writing
the row that refers to it: a crash then leaves an orphaned blob, never a row without its blob.
"""

from functools import cache

from django.conf import settings

from core.blobs.errors import BlobMissing, BlobStoreUnavailable
from core.blobs.folder import FolderStore
from core.blobs.s3 import S3Store
from core.blobs.store import BlobStore

__all__ = ["BlobMissing", "BlobStore", "BlobStoreUnavailable", "blobs"]


def blobs() -> BlobStore:
    """The store configured by `BLOB_STORE`: a folder's path or `s3://bucket/prefix`."""
    return _store(settings.BLOB_STORE)


@cache
def _store(location: str) -> BlobStore:
    return S3Store.from_url(location) if location.startswith("s3://") else FolderStore(location)
