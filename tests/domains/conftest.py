"""The AWS twin in its own process, with the product pointed at it."""

import pytest

from tests.twin.twin_running import RunningTwin


@pytest.fixture(scope="session")
def running_twin(tmp_path_factory):
    twin = RunningTwin.start(tmp_path_factory.mktemp("twin"))
    yield twin
    twin.stop()


@pytest.fixture
def twin(running_twin, aws_at):
    """The twin, reset to its initial state."""
    running_twin.reset()
    aws_at(running_twin.url)
    return running_twin
