"""`OpenSend is running` means that a mail would leave now."""

import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.journey.product import Product, wait_until

MAIL = {
    "from": "ada@demo.opensend.test",
    "to": ["bob@example.com"],
    "subject": "Now",
    "text": "Hi",
}


@pytest.fixture
def fresh():
    """A product whose sweeps come too late to help; not started yet."""
    with tempfile.TemporaryDirectory(prefix="opensend-", ignore_cleanup_errors=True) as folder:
        running = Product(Path(folder), SWEEP_INTERVAL="300")
        yield running
        if not running.has_exited:
            running.stop()


def test_a_started_product_sends_at_once_also_after_a_quick_restart(fresh):
    for _ in range(2):
        began = datetime.now(UTC)
        fresh.start()
        workers = fresh.get("/readyz")["workers"]
        assert workers.keys() == {"database", "sending", "webhooks"}
        for worker in workers.values():  # those of this run, not of the one before
            assert datetime.fromisoformat(worker["last_seen_at"]) > began
        key = fresh.api("POST", "/emails", MAIL).json()["id"]
        wait_until(
            lambda key=key: fresh.get(f"/emails/{key}")["status"] in ("sent", "delivered"),
            seconds=5,
            what="the mail",
        )
        assert fresh.stop() == 0
