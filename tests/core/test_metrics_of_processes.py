"""One scrape has the counters of all processes that share PROMETHEUS_MULTIPROC_DIR."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COUNT = """
import os, socket
os.getpid = lambda: {pid}
socket.gethostname = lambda: "{host}"
import django
django.setup()
from core import metrics
for _ in range({times}):
    metrics.SENDS.labels("ses", "Accepted").inc()
    metrics.SEND_SECONDS.labels("ses").observe(0.1)
"""
SCRAPE = """
import django
django.setup()
from django.test import Client
print(Client().get("/metrics").content.decode())
"""


@pytest.fixture
def run(tmp_path):
    """Run a program with a folder for counters, and return its output."""

    def run(program):
        environment = {
            "DJANGO_SETTINGS_MODULE": "opensend.settings",
            "PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "metrics"),
        }
        done = subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT,
            env=os.environ | environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        return done.stdout

    return run


def value(text, series):
    found = re.search(rf"^{re.escape(series)} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else None


def test_counters_of_separate_processes_are_summed(run):
    run(COUNT.format(pid=41, host="host", times=2))
    run(COUNT.format(pid=42, host="host", times=3))
    text = run(SCRAPE)
    assert value(text, 'opensend_sends_total{outcome="Accepted",provider="ses"}') == 5
    assert value(text, 'opensend_send_seconds_count{provider="ses"}') == 5


def test_containers_with_the_same_process_id_do_not_share_a_file(run, tmp_path):
    for host in ("a1b2c3", "d4e5f6"):
        run(COUNT.format(pid=1, host=host, times=2))
    assert value(run(SCRAPE), 'opensend_sends_total{outcome="Accepted",provider="ses"}') == 4
    names = {path.name for path in (tmp_path / "metrics").iterdir()}
    assert {"counter_a1b2c3-1.db", "counter_d4e5f6-1.db"} <= names


def test_a_scrape_of_a_running_installation_has_the_series_of_every_process(product):
    """Web, and each kind of worker: they are processes of their own."""
    from tests.journey.product import Endpoint, wait_until

    with Endpoint() as endpoint:
        created = product.api("POST", "/webhooks", {"endpoint": endpoint.url, "events": ["*"]})
        endpoint.expect(created.json()["signing_secret"])
        mail = {"from": "a@demo.opensend.test", "to": ["b@example.com"], "subject": "Counted"}
        key = product.api("POST", "/emails", mail | {"text": "Hi"}).json()["id"]
        wait_until(lambda: product.get(f"/emails/{key}")["status"] == "delivered", what="delivery")
        wait_until(lambda: len(endpoint.received) >= 2, what="webhooks")

        def missing():
            text = product.api("GET", "/metrics").text
            wanted = {
                "opensend_http_requests_total",  # web
                "opensend_callbacks_total",
                "opensend_sends_total",  # sending
                "opensend_send_seconds_bucket",
                "opensend_webhook_attempts_total",  # webhooks
                "opensend_webhook_seconds_bucket",
                "opensend_callbacks_processed_total",  # database
                "opensend_queue_due",
            }
            return {
                name
                for name in wanted
                if not re.search(rf"^{name}\{{?.* [1-9\d.]", text, re.MULTILINE)
            }

        wait_until(lambda: not missing(), what="all series")
        product.api("DELETE", f"/webhooks/{created.json()['id']}")
