import os
import random
import secrets
import tempfile
from pathlib import Path

import pytest

from tests.journey.product_running import Endpoint, Product

# Seconds. A worker that is killed costs what it had in hand a lease, so short ones save waiting;
# a send in doubt still gets time for the provider's own word of it.
SHORTER = {
    "SEND_LEASE": "5",
    "SEND_UNKNOWN_GRACE": "5",
    "SWEEP_INTERVAL": "1",
    "WEBHOOK_TIMEOUT": "10",
    "LOG_LEVEL": "WARNING",
}


@pytest.fixture
def say(capsys):
    """Print at once: a run of minutes is watched."""

    def say(text):
        with capsys.disabled():
            print(text, flush=True)

    return say


@pytest.fixture
def chance(say):
    """The randomness of a run; CHAOS_SEED repeats one."""
    seed = os.environ.get("CHAOS_SEED") or secrets.token_hex(4)
    say(f"\nCHAOS_SEED={seed}")
    return random.Random(seed)


@pytest.fixture
def endpoint():
    with Endpoint(slowness=0.2) as running:
        yield running


@pytest.fixture
def product(say):
    log = Path(os.environ["VAR_DIR"]) / "chaos.log"
    log.unlink(missing_ok=True)
    say(f"the product's lines go to {log}")
    with tempfile.TemporaryDirectory(
        prefix="opensend-chaos-", ignore_cleanup_errors=True
    ) as folder:
        running = Product(Path(folder), log=log, **SHORTER)
        try:
            yield running.start()
        finally:
            running.stop()
        assert running.processes == []
