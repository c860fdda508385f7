"""`make manage C="create_api_key Acme"`: a manage.py command on the installation of `make run`.

The command line is in the variable C, where no second shell takes its quotes and `$` away. It runs
with the settings of the running installation in VAR_DIR, and exits with the command's status.
"""

import fcntl
import os
import shlex
import sys
from pathlib import Path
from typing import NoReturn

from devstack.commands import PYTHON
from devstack.errors import StackError
from devstack.files import read_env
from devstack.services import ROOT

_USAGE = 'say which command, such as: make manage C="create_api_key Acme", or C=help for all'


def main() -> None:
    try:
        _exec(Path(os.environ.get("VAR_DIR") or "var"), os.environ.get("C", ""))
    except StackError as error:
        sys.exit(f"manage: {error}")


def _exec(var_dir: Path, line: str) -> NoReturn:
    """Replace this process by the command, so that it has the terminal; raises StackError."""
    try:
        arguments = shlex.split(line)
    except ValueError as error:
        raise StackError(f"C={line}: {error}") from None
    if not arguments:
        raise StackError(_USAGE)
    env = {**os.environ, **running_settings(var_dir), "SERVICE": "manage"}
    os.execve(PYTHON[0], [PYTHON[0], str(ROOT / "manage.py"), *arguments], env)  # noqa: S606


def running_settings(var_dir: Path) -> dict[str, str]:
    """The settings of the installation that runs in `var_dir`.

    Raises StackError if none runs there: its database would be away.
    """
    start = "start it in another terminal with: make run"
    settings = read_env(var_dir / "env")
    if not settings:
        raise StackError(f"nothing was run here yet: {var_dir / 'env'} does not exist; {start}")
    if not _is_locked(var_dir / "run.lock"):
        raise StackError(f"OpenSend is not running in {var_dir}; {start}")
    if not (var_dir / "run.json").exists():
        raise StackError(f"OpenSend is starting or stopping in {var_dir}; try again when it runs")
    return settings


def _is_locked(path: Path) -> bool:
    # A run that was killed leaves its run.json behind, but never its lock.
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


if __name__ == "__main__":
    main()
