"""Starts the load generator and the sink as separate processes."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict

from bench.load import Job, Result, parse_result
from core.processes import die_with_parent


class Load:
    """A run of the load generator; `result()` waits for it to finish."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.load"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=die_with_parent(signal.SIGKILL),
        )
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(asdict(job)) + "\n")
        self._process.stdin.flush()

    @property
    def pid(self) -> int:
        return self._process.pid

    def result(self) -> Result:
        try:
            answer, _ = self._process.communicate(timeout=self._job.seconds + 60)
        finally:
            self._process.kill()
        if self._process.returncode:
            raise RuntimeError("the load generator failed; see its output above")
        result = parse_result(answer)
        if result.errors or set(result.statuses) - {"200", "201", "202"}:
            raise RuntimeError(f"not all requests succeeded: {result.statuses} {result.errors}")
        return result


@contextmanager
def sink(*, status: int = 204, delay_ms: int = 0) -> Iterator[tuple[int, int]]:
    """A running sink; yields its port and process id. With status 0 it never responds."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.sink", str(status), str(delay_ms)],
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=die_with_parent(signal.SIGKILL),
    )
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline()), process.pid
    finally:
        process.terminate()
        process.wait()
