"""The AWS twin in its own process, and settings that point the product at it."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests

ROOT = Path(__file__).resolve().parents[2]


class Twin:
    def __init__(self, url):
        self.url = url

    def fail(self, **calls):
        """`fail(CreateEmailIdentity="ThrottlingException")` until the next `fail()`."""
        answer = requests.post(f"{self.url}/_twin/faults", json={"fail_calls": calls}, timeout=5)
        answer.raise_for_status()

    def calls(self):
        """The operations called, in order."""
        calls = requests.get(f"{self.url}/_twin/calls", timeout=5).json()
        return [call["operation"] for call in calls]


@pytest.fixture(scope="session")
def running_twin(tmp_path_factory):
    var_dir = str(tmp_path_factory.mktemp("twin"))
    process = subprocess.Popen(
        [sys.executable, "-m", "twin", "--port", "0", "--var-dir", var_dir],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    line = process.stdout.readline()
    assert line.startswith("twin listening on http://127.0.0.1:")
    yield Twin(line.split()[-1])
    process.send_signal(signal.SIGTERM)
    process.wait(timeout=10)
    process.stdout.close()


@pytest.fixture
def aws_at(settings):
    """`aws_at(url)` points the product at another AWS endpoint."""
    from core import aws

    def point(url):
        settings.AWS_ENDPOINT_URL = url
        aws._client.cache_clear()

    yield point
    aws._client.cache_clear()


@pytest.fixture
def twin(running_twin, aws_at):
    """The twin, reset to its initial state."""
    requests.post(f"{running_twin.url}/_twin/reset?all=true", timeout=5).raise_for_status()
    aws_at(running_twin.url)
    return running_twin


@pytest.fixture
def published():
    """`published()`: (type, data) of all events, oldest first."""
    from events.models import Event

    return lambda: [(event.type, event.data()) for event in Event.objects.order_by("pk")]
