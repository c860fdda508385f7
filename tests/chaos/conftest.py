import os
import random
import secrets
import tempfile
from pathlib import Path

import pytest

from tests.journey.product import Endpoint, Product

# Seconds. Killed workers leave rows leased, so short leases save waiting; the grace period still
# gives the provider's events time to resolve unknown sends.
SHORT_TIMES = {
    "SEND_LEASE": "5",
    "SEND_UNKNOWN_GRACE": "5",
    "SWEEP_INTERVAL": "1",
    "WEBHOOK_TIMEOUT": "10",
    "LOG_LEVEL": "WARNING",
}


@pytest.fixture
def say(capsys):
    """Print immediately, despite output capturing: a run takes minutes."""

    def say(text):
        with capsys.disabled():
            print(text, flush=True)

    return say


@pytest.fixture
def rng(say):
    """The random number generator of a run; CHAOS_SEED repeats a run."""
    seed = os.environ.get("CHAOS_SEED") or secrets.token_hex(4)
    say(f"\nCHAOS_SEED={seed}")
    return random.Random(seed)


@pytest.fixture
def endpoint():
    with Endpoint(delay=0.2) as running:
        yield running


@pytest.fixture
def product(say):
    log = Path(os.environ["VAR_DIR"]) / "chaos.log"
    log.unlink(missing_ok=True)
    say(f"the product logs to {log}")
    with tempfile.TemporaryDirectory(
        prefix="opensend-chaos-", ignore_cleanup_errors=True
    ) as folder:
        running = Product(Path(folder), log=log, **SHORT_TIMES)
        try:
            yield running.start()
        finally:
            running.stop()
        assert running.processes == []
