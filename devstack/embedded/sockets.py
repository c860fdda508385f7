"""The directory of the PostgreSQL socket for a data directory."""

import hashlib
import os
import tempfile
from pathlib import Path

from devstack.embedded.service import EmbeddedError

# sun_path holds 108 bytes on Linux and 104 on macOS, including the final NUL.
_MAX_LENGTH = 103
_FILE = ".s.PGSQL.5432"


def socket_directory(data: Path) -> Path:
    """A sibling of `data`, or a private folder in the temp folder if that path is unusable.

    Raises EmbeddedError if the temp folder has one that belongs to another user.
    """
    sibling = data.parent / "socket"
    if _is_usable(sibling):
        return sibling
    digest = hashlib.sha256(os.fsencode(data)).hexdigest()[:16]
    name = f"opensend-{digest}"
    temporary = Path(tempfile.gettempdir()) / name
    if not _is_usable(temporary):
        temporary = Path("/tmp") / name  # noqa: S108 - checked below
    _check_owner(temporary, data=data)
    return temporary


def _is_usable(directory: Path) -> bool:
    path = os.fsencode(directory / _FILE)
    # The server and its clients parse a list of paths, with commas and quotes.
    return len(path) <= _MAX_LENGTH and not set(b",\"'\\") & set(path)


def _check_owner(directory: Path, *, data: Path) -> None:
    """Any user can create a folder in the temp folder and run their own server in it."""
    try:
        status = directory.lstat()
    except FileNotFoundError:
        return
    our_uids = {os.geteuid()} | ({data.stat().st_uid} if data.exists() else set())
    if directory.is_symlink() or status.st_uid not in our_uids or status.st_mode & 0o077:
        raise EmbeddedError(f"{directory} belongs to another user; remove it or set TMPDIR")
