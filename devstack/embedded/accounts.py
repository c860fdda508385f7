"""PostgreSQL refuses to run as root: the account that it runs under instead."""

import os
import pwd
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

_NAME = "pgserver"


class Account(NamedTuple):
    uid: int
    gid: int


def server_account(data: Path) -> Account | None:
    """The owner of an existing cluster, else an account `pgserver` (created if need be).

    None when we are not root. Where no account can be created it is `nobody`.
    """
    if os.geteuid() != 0:
        return None
    if data.exists() and (owner := data.stat()).st_uid != 0:
        return Account(owner.st_uid, owner.st_gid)
    entry = _entry(_NAME) or _create() or _entry("nobody")
    if entry is None:
        raise LookupError("PostgreSQL cannot run as root, and there is no account `nobody`")
    return Account(entry.pw_uid, entry.pw_gid)


def give(path: Path, *, to: Account | None) -> None:
    if to is not None:
        os.chown(path, to.uid, to.gid)


def make_reachable(path: Path) -> None:
    """Let other accounts pass through (not list) every folder above `path`."""
    for folder in path.parents:
        mode = folder.stat().st_mode
        if not mode & 0o001:
            folder.chmod(mode | 0o001)


def _create() -> pwd.struct_passwd | None:
    if shutil.which("useradd") is None:
        return None
    # Not checked: of two processes that come here together, one finds the account made.
    subprocess.run(  # noqa: S603
        ["useradd", "--system", "--user-group", "--no-create-home", _NAME],  # noqa: S607
        capture_output=True,
        check=False,
    )
    return _entry(_NAME)


def _entry(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None
