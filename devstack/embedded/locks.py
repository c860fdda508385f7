"""Who may start or stop a server, and who still uses it, over processes of one machine.

Both are flock(2) locks: the kernel lets go of them when a process dies, however it dies.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class ServiceLock:
    """`changing()` excludes other starters and stoppers; `hold()` marks a user of the server.

    `used_by_others` and `hold` are to be called inside `changing()`.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._users: int | None = None

    @property
    def held(self) -> bool:
        return self._users is not None

    @contextmanager
    def changing(self) -> Iterator[None]:
        self._directory.mkdir(parents=True, exist_ok=True)
        descriptor = _open(self._directory / "change.lock")
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def used_by_others(self) -> bool:
        # Asking for the exclusive lock gives up our shared one for a moment; nobody can
        # mistake that for an unused server, because they ask inside `changing()` too.
        held = self.held
        descriptor = self._descriptor()
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            if held:
                fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            else:
                self.release()
        return False

    def hold(self) -> None:
        fcntl.flock(self._descriptor(), fcntl.LOCK_SH)

    def release(self) -> None:
        users, self._users = self._users, None
        if users is not None:
            os.close(users)

    def _descriptor(self) -> int:
        if self._users is None:
            self._users = _open(self._directory / "users.lock")
        return self._users


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
