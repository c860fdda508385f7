"""Bytes too large for rows, under keys: in a folder on one host, in S3 for several.

A key is `<kind>/...` of lower-case letters, digits and `.`, `-`, `/`. Whoever writes a row that
names a key puts the blob first, so that a crash leaves a blob without a row and never a row
without its blob.
"""

from functools import cache

from django.conf import settings

from core.blobs.errors import BlobMissing, BlobStoreUnavailable
from core.blobs.folder import FolderStore
from core.blobs.s3 import S3Store
from core.blobs.store import BlobStore

__all__ = ["BlobMissing", "BlobStore", "BlobStoreUnavailable", "blobs"]


def blobs() -> BlobStore:
    """The store that `BLOB_STORE` names: a folder's path or `s3://bucket/prefix`."""
    return _store(settings.BLOB_STORE)


@cache
def _store(where: str) -> BlobStore:
    return S3Store.at(where) if where.startswith("s3://") else FolderStore(where)
