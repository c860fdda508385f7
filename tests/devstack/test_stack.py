"""The supervisor, with real servers and small fakes of the product's processes."""

import json
import os
import signal
import stat
import subprocess
import sys
import tempfile
import urllib.request
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import psycopg
import pytest

from devstack import Stack
from devstack.embedded import Postgres, Redis, free_port
from devstack.environment import local_settings, write_env_file
from devstack.orphans import ProcessRecords
from devstack.run_info import sns_signing
from tests.clients import wait_until
from twin.signing import Signer

ROOT = Path(__file__).resolve().parent.parent.parent
PROGRAM = [sys.executable, str(Path(__file__).with_name("fake_product.py"))]


@pytest.fixture
def var_dir():
    with tempfile.TemporaryDirectory(prefix="opensend-test-") as directory:
        yield Path(directory)


@pytest.fixture(autouse=True)
def _stop_launched():
    """Stop supervisors that a failed test left running."""
    processes.clear()
    yield
    for process in processes:
        process.terminate()
        process.communicate(timeout=30)


processes = []


def launch(var_dir, **variables):
    # None of the test suite's settings: the supervisor would take them for an operator's.
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
        wait_until(lambda: run_info(var_dir) or process.poll() is not None, seconds=30)
        assert process.poll() is None, process.stdout.read()
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=30)


def run_info(var_dir):
    path = var_dir / "run.json"
    return json.loads(path.read_text()) if path.exists() else None


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


def test_run_json_describes_the_run_and_stopping_leaves_no_process(var_dir):
    with running(var_dir) as process:
        info = run_info(var_dir)
        assert get(info["base_url"]) == 200
        assert info["api_key"] == "os_key"
        assert info["database_url"].startswith("postgresql://postgres@/opensend?")
        with psycopg.connect(info["database_url"]) as connection:
            assert connection.execute("SELECT current_database()").fetchone() == ("opensend",)
        pids = [*info["pids"].values(), wait_until(lambda: pool_child(var_dir))]
        assert all(alive(pid) for pid in pids)
        for name in ("run.json", "env", "secrets.json", "bootstrap.json"):
            assert stat.S_IMODE((var_dir / name).stat().st_mode) == 0o600

        second = launch(var_dir)
        assert "already running" in second.communicate(timeout=30)[0]
        assert second.returncode == 1

        process.send_signal(signal.SIGINT)
        output = process.communicate(timeout=30)[0]
    assert process.returncode == 0
    assert "worker     | working" in output
    assert "curl -s http://127.0.0.1" in output
    assert not any(alive(pid) for pid in pids)
    assert run_info(var_dir) is None


def test_dead_processes_are_restarted(var_dir):
    with running(var_dir):
        before = run_info(var_dir)
        child = pool_child(var_dir)
        for pid in before["pids"].values():
            os.kill(pid, signal.SIGKILL)

        def all_new():
            now = run_info(var_dir)["pids"]
            return all(now[name] and now[name] != pid for name, pid in before["pids"].items())

        wait_until(all_new, seconds=20)
        after = run_info(var_dir)
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


def test_processes_die_with_a_killed_supervisor(var_dir):
    with running(var_dir) as process:
        pids = [*run_info(var_dir)["pids"].values(), pool_child(var_dir)]
        process.kill()
        if sys.platform == "linux":
            wait_until(lambda: not any(alive(pid) for pid in pids))


def test_the_next_run_kills_the_orphans_of_a_killed_one(var_dir):
    with running(var_dir) as process:
        before = run_info(var_dir)
        child = pool_child(var_dir)
        leaders = [before["pids"]["worker"], before["pids"]["beat"]]
        # SIGSTOP all of them, so that the processes cannot react to the supervisor's death.
        for pid in (process.pid, *leaders, child):
            os.kill(pid, signal.SIGSTOP)
            # The kernel delivers the lower of two pending signals first.
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
        after = run_info(var_dir)
        for name in ("base_url", "twin_url", "redis_url", "database_url", "inbound_token"):
            assert after[name] == before[name]


@pytest.mark.parametrize(("whose", "killed"), [("ours", ["pool"]), ("theirs", [])])
def test_a_process_without_its_leader_is_identified_by_its_environment(var_dir, whose, killed):
    value = str(var_dir) if whose == "ours" else "/somewhere/else"
    code = "import os; print(os.fork(), flush=True); import time; time.sleep(60)"
    leader = subprocess.Popen(
        [sys.executable, "-c", code],
        env={"VAR_DIR": value},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    child = max(int(leader.stdout.readline()), int(leader.stdout.readline()))
    ProcessRecords(var_dir).add("pool", leader.pid)
    leader.kill()
    leader.wait()
    assert ProcessRecords(var_dir).kill_orphans() == killed
    assert alive(child) == (whose == "theirs")
    with suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    leader.stdout.close()


def test_a_failed_start_up_step_stops_the_run_and_is_reported(var_dir):
    process = launch(var_dir, FAIL_STEP="bootstrap_local")
    output = process.communicate(timeout=30)[0]
    assert process.returncode == 1
    assert "manage.py bootstrap_local failed" in output
    assert run_info(var_dir) is None
    assert Postgres(var_dir / "postgres").pid is None


def test_servers_from_the_environment_are_used_instead_of_starting_them(var_dir):
    cache = Redis(var_dir / "mine")
    try:
        with running(var_dir, REDIS_URL=cache.start()):
            assert run_info(var_dir)["redis_url"] == cache.url
            assert run_info(var_dir)["pids"]["redis"] is None
        assert cache.pid is not None
    finally:
        cache.kill()


def test_a_port_in_use_is_reported_before_anything_starts(var_dir):
    port = free_port()
    with running(var_dir, PORT=str(port)):
        other = launch(var_dir / "other", PORT=str(port))
        assert f"port {port} is in use" in other.communicate(timeout=30)[0]
        assert other.returncode == 1
        assert not (var_dir / "other" / "postgres").exists()


def test_the_certificate_url_equals_the_one_of_the_twin(var_dir):
    signer = Signer(var_dir)
    expected = signer.certificate_url("us-east-1")
    stack = Stack(var_dir, {})
    assert stack.run_info["sns_signing"] is None  # we have not started a twin
    assert sns_signing(var_dir) == {
        "cert_url": expected,
        "private_key_path": str(var_dir / "sns-key.pem"),
    }


def test_secrets_are_generated_once_and_a_shell_can_read_the_env_file(var_dir):
    settings = local_settings(var_dir, base_url="http://a", twin_url="http://b")
    assert local_settings(var_dir, base_url="http://a", twin_url="http://b") == settings
    settings["DATABASE_URL"] = "postgresql://postgres@/opensend?host=/a b/it's&x"
    write_env_file(var_dir / "env", settings)
    script = f"set -a; . {var_dir}/env; exec {sys.executable} -c " + (
        "'import json, os; print(json.dumps(dict(os.environ)))'"
    )
    read = json.loads(subprocess.check_output(["bash", "-c", script], env={}))
    assert settings.items() <= read.items()
