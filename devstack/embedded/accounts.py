"""The OS account that PostgreSQL runs under, since it refuses to run as root."""

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
    """The owner of an existing cluster, or the account `pgserver`, created if missing.

    None if we are not root; `nobody` if no account can be created.
    """
    if os.geteuid() != 0:
        return None
    if data.exists() and (owner := data.stat()).st_uid != 0:
        return Account(owner.st_uid, owner.st_gid)
    entry = _entry(_NAME) or _create() or _entry("nobody")
    if entry is None:
        raise LookupError("PostgreSQL cannot run as root, and the account `nobody` does not exist")
    return Account(entry.pw_uid, entry.pw_gid)


def change_owner(path: Path, account: Account | None) -> None:
    if account is not None:
        os.chown(path, account.uid, account.gid)


def make_reachable(path: Path) -> None:
    """Let other accounts traverse, but not list, every folder above `path`."""
    for folder in path.parents:
        mode = folder.stat().st_mode
        if not mode & 0o001:
            folder.chmod(mode | 0o001)


def _create() -> pwd.struct_passwd | None:
    if shutil.which("useradd") is None:
        return None
    # Not checked: of two concurrent processes, one fails because the account already exists.
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
