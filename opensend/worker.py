"""`python -m opensend.worker`: Celery workers for each queue, ended together.

What may wait for the outside (sending, webhooks) has processes of its own, each of which runs one
task at a time and many calls inside it; what only needs the database has a pool. In production
each may as well be a service of its own: the commands are those of WORKERS.
"""

import os
import signal
import subprocess
import sys
import time
from types import FrameType

from core.processes import die_with_parent

WORKERS = {
    "database": ["--pool", "prefork", "--concurrency", os.environ.get("WORKER_CONCURRENCY", "2")],
    "sending": ["--pool", "solo"],
    "webhooks": ["--pool", "solo"],
}
# One process can't use more than one processor.
PROCESSES = {
    "sending": int(os.environ.get("SENDING_PROCESSES", "2")),
    "webhooks": int(os.environ.get("WEBHOOK_PROCESSES", "2")),
}
QUIET = ["--without-gossip", "--without-mingle"]


def main() -> int:
    """Runs until asked to stop (0) or until one of the workers ends by itself (1)."""
    asked = _Asked()
    workers = [
        _start(queue, number, options)
        for queue, options in WORKERS.items()
        for number in range(1, PROCESSES.get(queue, 1) + 1)
    ]
    while not asked.to_stop and all(worker.poll() is None for worker in workers):
        time.sleep(0.2)
    for worker in workers:
        worker.terminate()
    for worker in workers:
        worker.wait()
    return 0 if asked.to_stop else 1


class _Asked:
    """Whether somebody wants us to end: Celery finishes what it has begun."""

    def __init__(self) -> None:
        self.to_stop = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.to_stop = True


def _start(queue: str, number: int, options: list[str]) -> "subprocess.Popen[bytes]":
    argv = [sys.executable, "-m", "celery", "--quiet", "-A", "opensend", "worker", "-Q", queue]
    argv += ["-n", f"{queue}-{number}@%h", *options, *QUIET]
    return subprocess.Popen(  # noqa: S603
        argv,
        stdin=subprocess.DEVNULL,
        env=os.environ | {"SERVICE": f"opensend-{queue}"},
        # A killed parent takes its workers along.
        preexec_fn=die_with_parent(signal.SIGKILL),
    )


if __name__ == "__main__":
    sys.exit(main())
