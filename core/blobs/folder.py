"""Blobs as files: a key is a path relative to one folder."""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from uuid import uuid4

from core.blobs import links
from core.blobs.errors import BlobMissing, BlobStoreUnavailable

_KEY = re.compile(r"[a-z0-9][a-z0-9.-]*(/[a-z0-9][a-z0-9.-]*)+")


class FolderStore:
    def __init__(self, folder: str) -> None:
        self._root = Path(folder)

    def put(self, key: str, content: bytes) -> None:
        path = self.path(key)
        partial = path.with_name(f"{path.name}.{uuid4().hex}.part")
        with _unavailable_on_error("written"):
            self._make_folder(path.parent)
            with partial.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
            _sync(path.parent)

    def read(self, key: str) -> bytes:
        with _unavailable_on_error("read"):
            try:
                return self.path(key).read_bytes()
            except FileNotFoundError:
                raise BlobMissing(key) from None

    def delete(self, keys: Sequence[str]) -> None:
        with _unavailable_on_error("deleted"):
            for key in keys:
                self.path(key).unlink(missing_ok=True)
            for folder in {self.path(key).parent for key in keys}:
                with suppress(OSError):  # not empty
                    folder.rmdir()

    def keys(self, prefix: str, *, after: str, limit: int) -> list[str]:
        keys: list[str] = []
        with _unavailable_on_error("listed"):
            for key in self._walk(self._root, "", prefix, after):
                keys.append(key)
                if len(keys) == limit:
                    break
        return keys

    def signed_url(
        self, key: str, *, filename: str, content_type: str, expires_at: datetime
    ) -> str:
        return links.sign(
            links.Link(key=key, filename=filename, content_type=content_type, expires_at=expires_at)
        )

    def path(self, key: str) -> Path:
        """Raises ValueError for an invalid key: no key leads outside the folder."""
        if not _KEY.fullmatch(key):
            raise ValueError(f"`{key}` is not a blob key")
        return self._root / key

    def _walk(self, folder: Path, inside: str, prefix: str, after: str) -> Iterator[str]:
        """Skips folders that cannot contain a key with `prefix` that sorts behind `after`."""
        with suppress(FileNotFoundError):
            for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
                key = inside + entry.name
                if entry.is_dir():
                    subfolder = key + "/"
                    has_prefix = subfolder.startswith(prefix) or prefix.startswith(subfolder)
                    if has_prefix and (subfolder > after or after.startswith(subfolder)):
                        yield from self._walk(Path(entry.path), subfolder, prefix, after)
                elif key.startswith(prefix) and key > after:
                    yield key

    def _make_folder(self, folder: Path) -> None:
        if folder.is_dir():
            return
        if folder != self._root:
            self._make_folder(folder.parent)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _sync(folder.parent)


@contextmanager
def _unavailable_on_error(done: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BlobStoreUnavailable(
            f"A blob could not be {done}: {error.strerror or error}"
        ) from error


def _sync(folder: Path) -> None:
    """A new file's directory entry is durable only once its folder is synced (fsync(2))."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
