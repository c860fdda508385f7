"""`python -m opensend.worker`: Celery workers for all queues, stopped together.

Queues that wait for external services (sending, webhooks) have dedicated processes, each running
one task at a time with many concurrent calls. Tasks that only need the database share a prefork
pool. In production, each worker can be a separate service with the options in WORKERS.
"""

import os
import signal
import subprocess
import sys
import time
from types import FrameType

from core.processes import die_with_parent
from opensend import settings

WORKERS = {
    "database": ["--pool", "prefork", "--concurrency", str(settings.WORKER_CONCURRENCY)],
    "sending": ["--pool", "solo"],
    "webhooks": ["--pool", "solo"],
}
# A process uses one CPU core at most.
PROCESSES = {"sending": settings.SENDING_PROCESSES, "webhooks": settings.WEBHOOK_PROCESSES}
COMMON_OPTIONS = ["--without-gossip", "--without-mingle"]


def main() -> int:
    """Run until SIGTERM or SIGINT (returns 0), or until any worker exits by itself (returns 1).

    The workers check all settings; what can't even be read would not reach them.
    """
    if problems := settings.ENVIRONMENT_PROBLEMS:
        sys.exit("; ".join(" ".join(problem) for problem in problems))
    stop = _StopSignal()
    workers = [
        _start(queue, number, options)
        for queue, options in WORKERS.items()
        for number in range(1, PROCESSES.get(queue, 1) + 1)
    ]
    while not stop.received and all(worker.poll() is None for worker in workers):
        time.sleep(0.2)
    for worker in workers:
        worker.terminate()
    for worker in workers:
        worker.wait()
    return 0 if stop.received else 1


class _StopSignal:
    """Records SIGTERM and SIGINT. On SIGTERM, Celery finishes its running tasks."""

    def __init__(self) -> None:
        self.received = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.received = True


def _start(queue: str, number: int, options: list[str]) -> "subprocess.Popen[bytes]":
    argv = [sys.executable, "-m", "celery", "--quiet", "-A", "opensend", "worker", "-Q", queue]
    argv += ["-n", f"{queue}-{number}@%h", *options, *COMMON_OPTIONS]
    return subprocess.Popen(  # noqa: S603
        argv,
        stdin=subprocess.DEVNULL,
        env=os.environ | {"SERVICE": f"opensend-{queue}"},
        # Workers must not outlive a killed parent.
        preexec_fn=die_with_parent(signal.SIGKILL),
    )


if __name__ == "__main__":
    sys.exit(main())
