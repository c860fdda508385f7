"""Finding and terminating server processes."""

import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil


def is_running(process: psutil.Process) -> bool:
    """Alive, and not a zombie that a container's init process never reaps."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def is_server(process: psutil.Process, *, directory: Path, programs: Sequence[str]) -> bool:
    """Whether the process runs one of `programs` with `directory` as its working directory.

    PostgreSQL and Redis both change into their data directory, so this distinguishes our server
    from an unrelated process that reuses the pid in a stale pid file.
    """
    try:
        return (
            is_running(process)
            and Path(process.exe()).name in programs
            and Path(process.cwd()) == directory
        )
    except (psutil.Error, OSError):
        return False


def servers_in(directory: Path, *, programs: Sequence[str]) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        if is_server(process, directory=directory, programs=programs):
            yield process


def from_pid_file(path: Path, *, directory: Path, programs: Sequence[str]) -> psutil.Process | None:
    """The live server whose pid is on the first line of a pid file, if it is ours."""
    try:
        process = psutil.Process(int(path.read_text().split("\n", 1)[0]))
    except (OSError, ValueError, psutil.Error):
        return None
    return process if is_server(process, directory=directory, programs=programs) else None


def terminate(process: psutil.Process, *, signals: list[tuple[signal.Signals, float]]) -> None:
    """Send each signal in turn and wait its number of seconds, until the process has exited."""
    for number, seconds in signals:
        try:
            process.send_signal(number)
        except psutil.NoSuchProcess:
            return
        if _exits(process, within=seconds):
            return


def _exits(process: psutil.Process, *, within: float) -> bool:
    deadline = time.monotonic() + within
    while is_running(process):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
