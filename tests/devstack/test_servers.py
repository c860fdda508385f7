"""The embedded PostgreSQL and Redis."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from devstack.embedded import EmbeddedError, Postgres, Redis, create_database
from devstack.embedded.sockets import socket_directory
from tests.clients import wait_until

ROOT = Path(__file__).resolve().parent.parent.parent
FAST = {"fsync": "off", "shared_buffers": "16MB"}


@pytest.fixture
def var_dir():
    # Not tmp_path: its parent folder is not accessible to the account that PostgreSQL runs under.
    with tempfile.TemporaryDirectory(prefix="opensend-test-") as directory:
        yield Path(directory)


@pytest.fixture
def postgres(var_dir):
    server = Postgres(var_dir / "postgres", settings=FAST)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def cache(var_dir):
    server = Redis(var_dir / "redis")
    server.start()
    yield server
    server.kill()


def execute(url, query):
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(query)
        return cursor.fetchone()[0] if cursor.description else None


def ping(server):
    with redis.Redis.from_url(server.url) as client:
        return client.ping()


def test_postgres_keeps_its_rows_across_a_restart(postgres):
    execute(postgres.url, "CREATE TABLE kept AS SELECT 7 AS value")
    old = psutil.Process(postgres.pid)
    postgres.stop()
    assert not old.is_running()
    assert postgres.pid is None
    postgres.start()
    assert execute(postgres.url, "SELECT value FROM kept") == 7


def test_postgres_recovers_after_all_its_processes_are_killed(postgres):
    execute(postgres.url, "CREATE TABLE kept AS SELECT 7 AS value")
    server = psutil.Process(postgres.pid)
    for process in (server, *server.children()):
        with suppress(psutil.NoSuchProcess):  # some exit by themselves when the server is gone
            process.kill()
    wait_until(lambda: postgres.pid is None)
    postgres.start()
    assert execute(postgres.url, "SELECT value FROM kept") == 7


def test_a_backend_that_outlives_its_server_does_not_block_the_next_start(postgres):
    connection = psycopg.connect(postgres.url, autocommit=True)
    backend = psutil.Process(connection.info.backend_pid)
    backend.suspend()  # like a busy backend that does not check whether its server is alive
    os.kill(postgres.pid, signal.SIGKILL)
    wait_until(lambda: postgres.pid is None)
    postgres.start()
    assert execute(postgres.url, "SELECT 1") == 1
    assert not backend.is_running() or backend.status() == psutil.STATUS_ZOMBIE
    connection.close()


def test_a_pid_file_with_the_pid_of_another_program_is_ignored(postgres):
    postgres.stop()
    stale = f"{os.getpid()}\n{postgres.directory}/data\n0\n5432\n\n\n0 0\nready\n"
    (postgres.directory / "data" / "postmaster.pid").write_text(stale)
    assert postgres.pid is None
    postgres.start()
    assert execute(postgres.url, "SELECT 1") == 1


def test_settings_override_the_tuning_defaults(postgres):
    assert execute(postgres.url, "SHOW shared_buffers") == "16MB"
    assert execute(postgres.url, "SHOW synchronous_commit") == "on"
    assert execute(postgres.url, "SHOW jit") == "off"
    assert execute(postgres.url, "SHOW server_encoding") == "UTF8"


def test_a_database_of_any_name_is_created_once(postgres):
    url = create_database(postgres.url, 'mail "2"/%')
    execute(url, "CREATE TABLE here ()")
    assert create_database(postgres.url, 'mail "2"/%') == url
    assert execute(url, "SELECT current_database()") == 'mail "2"/%'
    assert execute(url, "SELECT count(*) FROM here") == 0


def test_a_data_path_that_is_too_long_for_a_socket_works(var_dir):
    server = Postgres(var_dir / ("long" * 20) / ("path" * 20), settings=FAST)
    try:
        assert execute(server.start(), "SELECT 1") == 1
    finally:
        server.kill()
        shutil.rmtree(socket_directory(server.directory / "data"))


def test_special_characters_in_the_folder_name_work(var_dir):
    folder = var_dir / 'Eve\'s, mail "box" 100%?&#'
    server, cache = Postgres(folder / "postgres", settings=FAST), Redis(folder / "redis")
    try:
        assert execute(create_database(server.start(), "mail"), "SELECT 1") == 1
        cache.start()
        assert ping(cache)
    finally:
        server.kill()
        cache.kill()
        shutil.rmtree(socket_directory(server.directory / "data"))


def test_servers_of_two_var_dirs_are_separate(var_dir, postgres, cache):
    other, other_cache = Postgres(var_dir / "b", settings=FAST), Redis(var_dir / "c")
    try:
        execute(other.start(), "CREATE TABLE only_in_other ()")
        other_cache.start()
        assert execute(postgres.url, "SELECT to_regclass('only_in_other') IS NULL")
        with redis.Redis.from_url(other_cache.url) as client:
            client.set("only", "there")
        with redis.Redis.from_url(cache.url) as client:
            assert client.get("only") is None
    finally:
        other.kill()
        other_cache.kill()


def test_a_server_is_shared_and_its_last_user_stops_it(postgres, cache):
    second = Postgres(postgres.directory)
    second_cache = Redis(cache.directory)
    assert second.start() == postgres.url
    assert second_cache.start() == cache.url
    assert (second.pid, second_cache.pid) == (postgres.pid, cache.pid)
    postgres.stop()
    cache.stop()
    assert execute(second.url, "SELECT 1") == 1
    assert ping(second_cache)
    second.stop()
    second_cache.stop()
    assert second.pid is None
    assert second_cache.pid is None


def test_start_is_idempotent(postgres):
    pid = postgres.pid
    postgres.start()
    assert postgres.pid == pid


def test_two_processes_can_start_the_same_directory_concurrently(var_dir):
    script = f"""
        import sys
        from pathlib import Path
        from devstack.embedded import Postgres, create_database
        server = Postgres(Path({str(var_dir)!r}), settings={FAST!r})
        create_database(server.start(), "shared")
        print(server.pid, flush=True)
        sys.stdin.read()
        server.stop()
    """
    both = [python(script, stdin=subprocess.PIPE) for _ in range(2)]
    pids = {process.stdout.readline() for process in both}
    assert len(pids) == 1
    assert int(pids.pop()) > 0
    for process in both:
        process.communicate()
        assert process.returncode == 0
    assert Postgres(var_dir).pid is None


def test_a_server_whose_users_were_killed_is_replaced(var_dir):
    script = f"""
        import os
        from pathlib import Path
        from devstack.embedded import Postgres, Redis
        servers = [Postgres(Path({str(var_dir)!r}) / "p", settings={FAST!r})]
        servers.append(Redis(Path({str(var_dir)!r}) / "r"))
        for server in servers:
            server.start()
        print(*(server.pid for server in servers), flush=True)
        os.kill(os.getpid(), 9)
    """
    owner = python(script)
    orphans = [int(pid) for pid in owner.communicate()[0].split()]
    servers = [Postgres(var_dir / "p", settings=FAST), Redis(var_dir / "r")]
    assert [server.pid for server in servers] == orphans
    try:
        for server, old in zip(servers, orphans, strict=True):
            server.start()
            assert server.pid != old
    finally:
        for server in servers:
            server.kill()


def test_a_server_can_die_with_its_parent(var_dir):
    script = f"""
        import os
        from pathlib import Path
        from devstack.embedded import Redis
        server = Redis(Path({str(var_dir)!r}), die_with_parent=True)
        server.start()
        print(server.pid, flush=True)
        os.kill(os.getpid(), 9)
    """
    assert int(python(script).communicate()[0]) > 0
    if sys.platform == "linux":
        wait_until(lambda: Redis(var_dir).pid is None)


def test_a_killed_redis_restarts_on_the_same_port(cache):
    url = cache.url
    os.kill(cache.pid, signal.SIGKILL)
    wait_until(lambda: cache.pid is None)
    assert cache.start() == url
    assert ping(cache)


def test_redis_changes_its_port_if_another_program_uses_it(cache):
    port = cache.port
    cache.stop()
    with socket.create_server(("127.0.0.1", port)):
        cache.start()
        assert cache.port != port
        assert ping(cache)


def test_a_requested_port_in_use_is_an_error(var_dir):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = Redis(var_dir, port=taken.getsockname()[1])
        with pytest.raises(EmbeddedError, match="in use"):
            server.start()
        server.kill()


def test_redis_requires_its_password(cache):
    with socket.create_connection(("127.0.0.1", cache.port)) as connection:
        connection.sendall(b"PING\r\n")
        assert connection.recv(100).startswith(b"-NOAUTH")


def test_a_failed_start_reports_the_log(var_dir):
    server = Postgres(var_dir, settings={"shared_buffers": "nonsense"})
    with pytest.raises(EmbeddedError, match="nonsense"):
        server.start()
    server.kill()


@pytest.mark.skipif(os.geteuid() != 0, reason="the other tests already run as an unprivileged user")
def test_an_unprivileged_user_can_run_both_servers(var_dir):
    os.chmod(var_dir, 0o777)
    script = f"""
        import encodings.idna, os, pwd
        from pathlib import Path
        import psycopg, redis
        from devstack.embedded import Postgres, Redis, create_database
        nobody = pwd.getpwnam("nobody")
        os.setgroups([])
        os.setgid(nobody.pw_gid)
        os.setuid(nobody.pw_uid)
        os.environ["HOME"] = "/"
        postgres = Postgres(Path({str(var_dir)!r}) / "p", settings={FAST!r})
        cache = Redis(Path({str(var_dir)!r}) / "r")
        with psycopg.connect(create_database(postgres.start(), "mine")) as connection:
            print(connection.execute("SELECT 1").fetchone()[0])
        with redis.Redis.from_url(cache.start()) as client:
            print(client.ping())
        print(os.stat(postgres.directory / "data").st_uid == nobody.pw_uid)
        postgres.stop()
        cache.stop()
    """
    assert python(script).communicate()[0].split() == ["1", "True", "True"]


def python(script, **options):
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        **options,
    )
