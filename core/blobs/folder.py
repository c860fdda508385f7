"""Blobs as files under one folder, whose folders are the keys'."""

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
        unfinished = path.with_name(f"{path.name}.{uuid4().hex}.part")
        with _away("written"):
            self._make(path.parent)
            with unfinished.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(path)
            _sync(path.parent)

    def read(self, key: str) -> bytes:
        with _away("read"):
            try:
                return self.path(key).read_bytes()
            except FileNotFoundError:
                raise BlobMissing(key) from None

    def delete(self, keys: Sequence[str]) -> None:
        with _away("deleted"):
            for key in keys:
                self.path(key).unlink(missing_ok=True)
            for folder in {self.path(key).parent for key in keys}:
                with suppress(OSError):  # others are in it
                    folder.rmdir()

    def keys(self, prefix: str, *, after: str, limit: int) -> list[str]:
        found: list[str] = []
        with _away("listed"):
            for key in self._walk(self._root, "", prefix, after):
                found.append(key)
                if len(found) == limit:
                    break
        return found

    def signed_url(
        self, key: str, *, filename: str, content_type: str, expires_at: datetime
    ) -> str:
        return links.signed(
            links.Link(key=key, filename=filename, content_type=content_type, until=expires_at)
        )

    def path(self, key: str) -> Path:
        """ValueError for what is no key: nothing outside of the folder can be named."""
        if not _KEY.fullmatch(key):
            raise ValueError(f"`{key}` is no key of a blob")
        return self._root / key

    def _walk(self, folder: Path, inside: str, prefix: str, after: str) -> Iterator[str]:
        """Folders that end before `after` or lie beside `prefix` are not entered."""
        with suppress(FileNotFoundError):
            for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
                key = inside + entry.name
                if entry.is_dir():
                    within = key + "/"
                    beside = not (within.startswith(prefix) or prefix.startswith(within))
                    if not beside and (within > after or after.startswith(within)):
                        yield from self._walk(Path(entry.path), within, prefix, after)
                elif key.startswith(prefix) and key > after:
                    yield key

    def _make(self, folder: Path) -> None:
        if folder.is_dir():
            return
        if folder != self._root:
            self._make(folder.parent)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _sync(folder.parent)


@contextmanager
def _away(done: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BlobStoreUnavailable(
            f"A file could not be {done}: {error.strerror or error}"
        ) from error


def _sync(folder: Path) -> None:
    """The entry of a new file is durable only when its folder is (fsync(2))."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
