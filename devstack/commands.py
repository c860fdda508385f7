"""The command line of each service."""

import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

# Run modules instead of the scripts next to the interpreter: scripts search site-packages first.
PYTHON = [sys.executable, "-m"]
MANAGE = [sys.executable, "manage.py"]

# Seconds to finish work in progress before a kill. For workers longer than any call: a kill leaves
# mail of which nobody knows whether it was sent.
STOP_SECONDS = {"web": 10.0, "worker": 75.0, "beat": 5.0, "twin": 5.0}


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
    raise ValueError(f"unknown service: {name}")


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
