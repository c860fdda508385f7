"""How server processes are recognised and ended."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil


def is_running(process: psutil.Process) -> bool:
    """Alive, and not a zombie that a container's first process never collects."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def works_in(process: psutil.Process, *, directory: Path, program: str) -> bool:
    """Whether it is `program` with `directory` as its working directory.

    PostgreSQL and Redis both change into their data directory, so this tells a server of
    ours from whatever else was given the number in a stale pid file.
    """
    try:
        return (
            is_running(process)
            and Path(process.exe()).name == program
            and Path(process.cwd()) == directory
        )
    except (psutil.Error, OSError):
        return False


def servers_in(directory: Path, *, program: str) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        if works_in(process, directory=directory, program=program):
            yield process


def from_pid_file(path: Path, *, directory: Path, program: str) -> psutil.Process | None:
    """The live server that a pid file names on its first line, if it is really ours."""
    try:
        process = psutil.Process(int(path.read_text().split("\n", 1)[0]))
    except (OSError, ValueError, psutil.Error):
        return None
    return process if works_in(process, directory=directory, program=program) else None


def end(process: psutil.Process, *, signals: list[tuple[signal.Signals, float]]) -> None:
    """Send each signal and give it so many seconds, until the process is gone."""
    for number, seconds in signals:
        try:
            process.send_signal(number)
        except psutil.NoSuchProcess:
            return
        if _is_gone(process, within=seconds):
            return


def _is_gone(process: psutil.Process, *, within: float) -> bool:
    deadline = time.monotonic() + within
    while is_running(process):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
