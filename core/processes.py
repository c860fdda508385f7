"""Child processes that end with their parent."""

import ctypes
import os
import sys
from collections.abc import Callable

# Loaded before any fork: between fork and exec, nothing may take the dynamic loader's lock.
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def die_with_parent(signal_number: int) -> Callable[[], None]:
    """A `preexec_fn`: Linux sends the child `signal_number` when the starting thread ends.

    The thread, not the process (prctl(2)): start children from a thread that outlives them.
    Does nothing on other platforms.
    """
    parent = os.getpid()

    def apply() -> None:
        if _LIBC is None:
            return
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal_number)
        if os.getppid() != parent:  # the parent died before prctl: no signal will come
            os._exit(1)

    return apply
