"""The oldest PostgreSQL that a wheel offers runs what depends on PostgreSQL most.

Production needs PostgreSQL 14 or later; all other tests run on the 18 of `make run`.
"""

import os
import subprocess
import sys
from functools import cached_property
from pathlib import Path

import psycopg
import pytest

from devstack.embedded import Postgres, create_database
from devstack.embedded.programs import in_wheel

ROOT = Path(__file__).resolve().parent.parent.parent
DEPENDENT = [
    "tests/core/test_bulk.py",
    "tests/core/test_prepared.py",
    "tests/core/test_retention.py",
    "tests/core/test_work_claiming.py",
    "tests/core/test_work_settling.py",
    "tests/emails/test_sending.py",
    "tests/events/test_dispatching.py",
]


class Postgres15(Postgres):
    @cached_property
    def _binaries(self):
        return in_wheel("pgserver", "pginstall/bin/postgres").parent


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="the wheel has no release for it")
def test_what_depends_on_postgresql_runs_on_an_older_one(tmp_path):
    server = Postgres15(tmp_path, settings={"fsync": "off", "full_page_writes": "off"})
    url = create_database(server.start(), "opensend")
    try:
        with psycopg.connect(url) as connection:
            assert connection.info.server_version // 10_000 == 15
        tests = subprocess.run(
            [sys.executable, "-m", "pytest", *DEPENDENT],
            cwd=ROOT,
            env=os.environ | {"DATABASE_URL": url},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    finally:
        server.stop()
    assert tests.returncode == 0, tests.stdout[-5000:]
