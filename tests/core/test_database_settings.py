"""An unreachable database fails within seconds."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


def read(expression, **environment):
    """Evaluate in a new process with settings from this environment; returns the JSON value."""
    program = (
        "import json, django; django.setup()\n"
        "from django.db import connection\n"
        "from django.conf import settings\n"
        f"print(json.dumps({expression}))"
    )
    variables = {"DJANGO_SETTINGS_MODULE": "opensend.settings", "LOG_LEVEL": "CRITICAL"}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | variables | environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return json.loads(done.stdout)


OPTIONS = "settings.DATABASES['default']['OPTIONS']"


def test_the_url_overrides_the_default_timeouts():
    url = "postgresql://u:p@db.example.com/opensend?connect_timeout=3&sslmode=require"
    options = read(OPTIONS, DATABASE_URL=url, DATABASE_POOL_SIZE="0", SERVICE="web")
    assert options == {
        "application_name": "web",
        "connect_timeout": 3,
        "sslmode": "require",
        "tcp_user_timeout": 15_000,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
    }


ATTEMPT = "connection.ensure_connection() or 'connected'"


def test_a_unix_socket_accepts_the_timeouts():
    assert read(ATTEMPT, DATABASE_POOL_SIZE="0") == "connected"
    assert read(ATTEMPT, DATABASE_POOL_SIZE="2") == "connected"


def test_a_database_that_accepts_but_never_responds_times_out():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        url = f"postgresql://u:p@127.0.0.1:{port}/opensend"
        started = time.monotonic()
        with pytest.raises(subprocess.CalledProcessError) as failed:
            read(ATTEMPT, DATABASE_URL=url, DATABASE_POOL_SIZE="0")
    assert "OperationalError" in failed.value.stderr
    assert time.monotonic() - started < 20
