"""Start, run.json, demo, stop and restart, as `make run` and `make demo` do it."""

import os
import stat
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest
import requests

from tests.clients import wait_until
from tests.journey.product import ROOT, Product

KEYS = {
    "base_url",
    "api_key",
    "admin",
    "inbound_token",
    "job_token",
    "sns_events_topic_arn",
    "sns_inbound_topic_arn",
    "sns_signing",
    "twin_url",
    "smtp_url",
    "database_url",
    "redis_url",
    "pids",
}


def demo(var_dir):
    return subprocess.run(
        [sys.executable, "-m", "devstack.demo"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "VAR_DIR": str(var_dir)},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_run_json_has_every_field_and_is_private(product):
    facts = product.facts
    assert facts.keys() == KEYS
    assert all(facts[name] for name in KEYS - {"smtp_url"})
    assert all(psutil.pid_exists(pid) for pid in facts["pids"].values())
    for name in ("run.json", "env", "secrets.json", "bootstrap.json", "twin/sns-key.pem"):
        assert stat.S_IMODE((product.var_dir / name).stat().st_mode) == 0o600, name


def test_the_admin_login_in_run_json_works(product):
    url = product.facts["base_url"] + "/admin/login/"
    with requests.Session() as browser:
        browser.get(url, timeout=10).raise_for_status()
        form = {**product.facts["admin"], "csrfmiddlewaretoken": browser.cookies["csrftoken"]}
        answer = browser.post(
            url, params={"next": "/admin/"}, data=form, headers={"Referer": url}, timeout=10
        )
        assert answer.url.endswith("/admin/")


def test_the_demo_finishes_and_removes_its_endpoint(product):
    before = product.get("/webhooks")["data"]
    finished = demo(product.var_dir)
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.count("signature verified") == 18
    assert "422 recipient_suppressed" in finished.stdout
    assert product.get("/webhooks")["data"] == before


def test_the_demo_reports_that_nothing_is_running(tmp_path):
    finished = demo(tmp_path)
    assert finished.returncode == 1
    assert finished.stderr.startswith("demo: nothing is running here")
    assert "Traceback" not in finished.stderr


@pytest.fixture
def second():
    """A second product whose sweeps come too late to help, not started yet."""
    with tempfile.TemporaryDirectory(
        prefix="opensend-second-", ignore_cleanup_errors=True
    ) as folder:
        running = Product(Path(folder), SWEEP_INTERVAL="300")
        yield running
        if not running.has_exited:
            running.stop()


def start_and_send(product):
    """`OpenSend is running` means that a mail leaves now; returns the id of one that did."""
    began = datetime.now(UTC)
    product.start()
    workers = product.get("/readyz")["workers"]
    assert workers.keys() == {"database", "sending", "webhooks"}
    for worker in workers.values():  # those of this run, not of the one before
        assert datetime.fromisoformat(worker["last_seen_at"]) > began
    mail = {
        "from": "ada@demo.opensend.test",
        "to": ["bob@example.com"],
        "subject": "Kept",
        "text": "Hi",
        "attachments": [{"filename": "a.txt", "content": "SGk="}],
    }
    email_id = product.api("POST", "/emails", mail).json()["id"]
    wait_until(
        lambda: product.get(f"/emails/{email_id}")["status"] in ("sent", "delivered"),
        seconds=5,
        what="the mail",
    )
    return email_id


def test_ctrl_c_stops_every_process_and_the_next_start_has_all_data(second):
    email_id = start_and_send(second)
    before = second.facts
    assert len(second.processes) > 8
    assert second.stop() == 0
    assert second.processes == []
    assert second.facts is None

    start_and_send(second)
    after = second.facts
    assert after["api_key"] == before["api_key"]
    assert after["admin"] == before["admin"]
    assert after["base_url"] == before["base_url"]
    assert second.get(f"/emails/{email_id}")["subject"] == "Kept"
    assert "Traceback" not in second.log.read_text()
