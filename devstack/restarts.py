"""Starting a dead process again, later each time that it does not last."""

import time

from devstack.services import Member

_FIRST_DELAY = 0.2
_LONGEST_DELAY = 10.0
_LASTING = 30.0  # seconds up after which a death is a first one again


class Keeper:
    """Watches one started member."""

    def __init__(self, member: Member) -> None:
        self.member = member
        self._delay = _FIRST_DELAY
        self._started = time.monotonic()
        self._due: float | None = None

    def is_down(self) -> bool:
        """Notices a death; True until the member has been started again."""
        if self._due is None and self.member.pid is None:
            now = time.monotonic()
            if now - self._started > _LASTING:
                self._delay = _FIRST_DELAY
            self.postpone()
        return self._due is not None

    def is_due(self) -> bool:
        return self._due is not None and time.monotonic() >= self._due

    def revive(self) -> None:
        self.member.start()
        self._started = time.monotonic()
        self._due = None

    def postpone(self) -> None:
        self._due = time.monotonic() + self._delay
        self._delay = min(self._delay * 2, _LONGEST_DELAY)
