"""Locks between the processes that share a server: for starting and stopping, and for use.

Both are flock(2) locks: the kernel releases them however a process dies.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class ServiceLock:
    """`exclusive()` serialises starts and stops; `acquire()` marks this process as a user.

    Call `used_by_others` and `acquire` inside `exclusive()`.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._users: int | None = None

    @property
    def is_acquired(self) -> bool:
        return self._users is not None

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        self._directory.mkdir(parents=True, exist_ok=True)
        descriptor = _open(self._directory / "change.lock")
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def used_by_others(self) -> bool:
        # Requesting the exclusive lock releases our shared one for a moment. Other processes
        # cannot take the server for unused, because they also check inside `exclusive()`.
        was_acquired = self.is_acquired
        descriptor = self._descriptor()
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            if was_acquired:
                fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            else:
                self.release()
        return False

    def acquire(self) -> None:
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
