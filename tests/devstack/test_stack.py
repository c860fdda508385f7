"""The supervisor, with real servers and small stand-ins for the product's processes."""

import json
import os
import signal
import stat
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import psycopg
import pytest

from devstack import Stack
from devstack.embedded import Postgres, Redis, free_port
from devstack.environment import local_settings, write_env_file
from devstack.orphans import Records
from devstack.run_info import signing
from twin.signing import Signer

ROOT = Path(__file__).resolve().parent.parent.parent
PROGRAM = [sys.executable, str(Path(__file__).with_name("fake_product.py"))]


@pytest.fixture
def var_dir():
    with tempfile.TemporaryDirectory(prefix="opensend-test-") as directory:
        yield Path(directory)


@pytest.fixture(autouse=True)
def launched():
    """A supervisor that a failed test forgot would run for ever."""
    processes.clear()
    yield
    for process in processes:
        process.terminate()
        process.communicate(timeout=30)


processes = []


def launch(var_dir, **variables):
    # Nothing of the suite's own settings: here they are what an operator would have set.
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "VAR_DIR": str(var_dir)}
    env |= {"PORT": "0", **variables}
    process = subprocess.Popen(
        PROGRAM, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    processes.append(process)
    return process


@contextmanager
def running(var_dir, **variables):
    process = launch(var_dir, **variables)
    try:
        wait_until(lambda: facts(var_dir) or process.poll() is not None, seconds=30)
        assert process.poll() is None, process.stdout.read()
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=30)


def facts(var_dir):
    path = var_dir / "run.json"
    return json.loads(path.read_text()) if path.exists() else None


def wait_until(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
    return result


def alive(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def get(url):
    with urllib.request.urlopen(url, timeout=5) as response:
        return response.status


def pool_child(var_dir):
    return int((var_dir / "pool-child").read_text())


def test_a_run_is_described_in_run_json_and_leaves_no_process(var_dir):
    with running(var_dir) as process:
        known = facts(var_dir)
        assert get(known["base_url"]) == 200
        assert known["api_key"] == "os_key"
        assert known["database_url"].startswith("postgresql://postgres@/opensend?")
        with psycopg.connect(known["database_url"]) as connection:
            assert connection.execute("SELECT current_database()").fetchone() == ("opensend",)
        pids = [*known["pids"].values(), wait_until(lambda: pool_child(var_dir))]
        assert all(alive(pid) for pid in pids)
        for name in ("run.json", "env", "secrets.json", "bootstrap.json"):
            assert stat.S_IMODE((var_dir / name).stat().st_mode) == 0o600

        second = launch(var_dir)
        assert "running already" in second.communicate(timeout=30)[0]
        assert second.returncode == 1

        process.send_signal(signal.SIGINT)
        printed = process.communicate(timeout=30)[0]
    assert process.returncode == 0
    assert "worker     | working" in printed
    assert "curl -s http://127.0.0.1" in printed
    assert not any(alive(pid) for pid in pids)
    assert facts(var_dir) is None


def test_whatever_dies_is_started_again_in_its_place(var_dir):
    with running(var_dir):
        before = facts(var_dir)
        child = pool_child(var_dir)
        for pid in before["pids"].values():
            os.kill(pid, signal.SIGKILL)

        def all_new():
            now = facts(var_dir)["pids"]
            return all(now[name] and now[name] != pid for name, pid in before["pids"].items())

        wait_until(all_new, seconds=20)
        after = facts(var_dir)
        assert {**before, "pids": None} == {**after, "pids": None}
        assert not alive(child)
        wait_until(lambda: answers(after["base_url"]))
        with psycopg.connect(after["database_url"]) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)


def answers(url):
    try:
        return get(url) == 200
    except OSError:
        return False


def test_a_killed_supervisor_takes_its_processes_with_it(var_dir):
    with running(var_dir) as process:
        pids = [*facts(var_dir)["pids"].values(), pool_child(var_dir)]
        process.kill()
        if sys.platform == "linux":
            wait_until(lambda: not any(alive(pid) for pid in pids))


def test_the_next_run_ends_what_a_killed_one_left(var_dir):
    with running(var_dir) as process:
        before = facts(var_dir)
        child = pool_child(var_dir)
        leaders = [before["pids"]["worker"], before["pids"]["beat"]]
        # The supervisor sees nothing of this, and they will not hear that it is gone.
        for pid in (process.pid, *leaders, child):
            os.kill(pid, signal.SIGSTOP)
            # Of two signals that wait, the kernel hands over the lower one first.
            wait_until(lambda pid=pid: psutil.Process(pid).status() == psutil.STATUS_STOPPED)
        os.kill(leaders[0], signal.SIGKILL)
        process.kill()
        process.communicate()
        (var_dir / "run.json").unlink()
    assert alive(child)
    assert alive(leaders[1])
    with running(var_dir):
        assert not alive(child)
        assert not alive(leaders[1])
        after = facts(var_dir)
        for name in ("base_url", "twin_url", "redis_url", "database_url", "inbound_token"):
            assert after[name] == before[name]


@pytest.mark.parametrize(("whose", "ended"), [("ours", ["pool"]), ("theirs", [])])
def test_a_process_without_its_leader_is_known_by_its_environment(var_dir, whose, ended):
    mark = str(var_dir) if whose == "ours" else "/somewhere/else"
    code = "import os; print(os.fork(), flush=True); import time; time.sleep(60)"
    leader = subprocess.Popen(
        [sys.executable, "-c", code],
        env={"VAR_DIR": mark},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    child = max(int(leader.stdout.readline()), int(leader.stdout.readline()))
    Records(var_dir).add("pool", leader.pid)
    leader.kill()
    leader.wait()
    assert Records(var_dir).end_leftovers() == ended
    assert alive(child) == (whose == "theirs")
    with suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    leader.stdout.close()


def test_a_step_that_fails_ends_the_run_with_its_reason(var_dir):
    process = launch(var_dir, FAIL_STEP="migrate")
    printed = process.communicate(timeout=30)[0]
    assert process.returncode == 1
    assert "manage.py migrate --no-input failed" in printed
    assert facts(var_dir) is None
    assert Postgres(var_dir / "postgres").pid is None


def test_servers_named_in_the_environment_are_used_and_none_is_started(var_dir):
    cache = Redis(var_dir / "mine")
    try:
        with running(var_dir, REDIS_URL=cache.start()):
            assert facts(var_dir)["redis_url"] == cache.url
            assert facts(var_dir)["pids"]["redis"] is None
        assert cache.pid is not None
    finally:
        cache.kill()


def test_a_taken_port_is_reported_before_anything_starts(var_dir):
    port = free_port()
    with running(var_dir, PORT=str(port)):
        other = launch(var_dir / "other", PORT=str(port))
        assert f"port {port} is in use" in other.communicate(timeout=30)[0]
        assert other.returncode == 1
        assert not (var_dir / "other" / "postgres").exists()


def test_the_certificate_of_the_twin_is_named_as_the_twin_names_it(var_dir):
    signer = Signer(var_dir)
    expected = signer.certificate_url("us-east-1")
    stack = Stack(var_dir, {})
    assert stack.facts["sns_signing"] is None  # no twin of ours is running
    assert signing(var_dir) == {
        "cert_url": expected,
        "private_key_path": str(var_dir / "sns-key.pem"),
    }


def test_secrets_are_made_once_and_a_shell_reads_them(var_dir):
    settings = local_settings(var_dir, base_url="http://a", twin_url="http://b")
    assert local_settings(var_dir, base_url="http://a", twin_url="http://b") == settings
    settings["DATABASE_URL"] = "postgresql://postgres@/opensend?host=/a b/it's&x"
    write_env_file(var_dir / "env", settings)
    script = f"set -a; . {var_dir}/env; exec {sys.executable} -c " + (
        "'import json, os; print(json.dumps(dict(os.environ)))'"
    )
    read = json.loads(subprocess.check_output(["bash", "-c", script], env={}))
    assert settings.items() <= read.items()
