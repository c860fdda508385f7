"""The command line of each process."""

import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

# Modules, not the scripts beside the interpreter: those look in site-packages first.
PYTHON = [sys.executable, "-m"]
MANAGE = [sys.executable, "manage.py"]

# Seconds that a process may take to finish what it has in hand. Work is leased, so one that
# is killed later costs a lease, not a mail.
PATIENCE = {"web": 10.0, "worker": 20.0, "beat": 5.0, "twin": 5.0}


def command(
    name: str, *, var_dir: Path, ports: Mapping[str, int], env: Mapping[str, str]
) -> list[str]:
    """The argv of `twin`, `web`, `worker` or `beat`."""
    if name == "twin":
        return _twin(port=ports["twin"], var_dir=var_dir / "twin", env=env)
    if name == "web":
        return _web(port=ports["web"], env=env)
    if name == "worker":
        return [*PYTHON, "opensend.worker"]
    if name == "beat":
        schedule = str(var_dir / "celerybeat-schedule")
        return [*PYTHON, "celery", "-q", "-A", "opensend", "beat", "-s", schedule, "--pidfile="]
    raise ValueError(f"no such service: {name}")


def _twin(*, port: int, var_dir: Path, env: Mapping[str, str]) -> list[str]:
    blobs = urlsplit(env.get("BLOB_STORE", ""))
    buckets = ["--bucket", blobs.netloc] if blobs.scheme == "s3" else []
    return [*PYTHON, "twin", "--port", str(port), "--var-dir", str(var_dir), *buckets]


def _web(*, port: int, env: Mapping[str, str]) -> list[str]:
    return [
        *(*PYTHON, "granian", "--interface", "wsgi", "--no-ws"),
        *("--host", "127.0.0.1", "--port", str(port)),
        *("--workers", env.get("WEB_WORKERS", "2")),
        *("--blocking-threads", env.get("WEB_THREADS", "4")),
        *("--respawn-failed-workers", "--respawn-interval", "0.5", "--workers-kill-timeout", "5"),
        *("--log-level", "warning", "opensend.wsgi:application"),
    ]
