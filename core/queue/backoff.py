"""How long a failed row waits before it is tried again."""

import random
from dataclasses import dataclass
from datetime import timedelta

_SHORTEST = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Backoff:
    """Delays that double from `first` to `longest`. With `jitter` anything from a second up to
    those, so that rows that failed together don't come back together."""

    first: timedelta
    longest: timedelta
    jitter: bool = False

    def after(self, attempt: int) -> timedelta:
        """Before the attempt after the `attempt`-th, counted from 1."""
        ceiling: timedelta = min(self.first * 2 ** min(max(attempt, 1) - 1, 30), self.longest)
        if not self.jitter:
            return ceiling
        return max(ceiling * random.random(), _SHORTEST)  # noqa: S311
