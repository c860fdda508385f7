"""Where the PostgreSQL socket of a data directory lies."""

import hashlib
import os
import tempfile
from pathlib import Path

from devstack.embedded.service import EmbeddedError

# sun_path holds 108 bytes on Linux and 104 on macOS, with the final NUL.
_LONGEST = 103
_FILE = ".s.PGSQL.5432"


def socket_directory(data: Path) -> Path:
    """Beside `data`; where that cannot hold a socket, a private folder in the temp folder.

    Raises EmbeddedError when somebody else's folder lies there.
    """
    beside = data.parent / "socket"
    if _fits(beside):
        return beside
    digest = hashlib.sha256(os.fsencode(data)).hexdigest()[:16]
    name = f"opensend-{digest}"
    temporary = Path(tempfile.gettempdir()) / name
    if not _fits(temporary):
        temporary = Path("/tmp") / name  # noqa: S108 - checked below
    _refuse_foreign(temporary, data=data)
    return temporary


def _fits(directory: Path) -> bool:
    path = os.fsencode(directory / _FILE)
    # To the server and to its clients alike, a comma or a quote in it begins another path.
    return len(path) <= _LONGEST and not set(b",\"'\\") & set(path)


def _refuse_foreign(directory: Path, *, data: Path) -> None:
    """Anybody can make folders in the temp folder, with a server of their own in it."""
    try:
        found = directory.lstat()
    except FileNotFoundError:
        return
    ours = {os.geteuid()} | ({data.stat().st_uid} if data.exists() else set())
    if directory.is_symlink() or found.st_uid not in ours or found.st_mode & 0o077:
        raise EmbeddedError(f"{directory} belongs to somebody else; remove it or set TMPDIR")
