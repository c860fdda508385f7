import pytest


@pytest.fixture
def published(db):
    """`published("contact.created")`: the data of the events of this type, oldest first."""
    from tests.database import published_data

    return published_data


@pytest.fixture(scope="session")
def running_twin(tmp_path_factory):
    from tests.twin.twin_running import RunningTwin

    twin = RunningTwin.start(tmp_path_factory.mktemp("twin"))
    yield twin
    twin.stop()


@pytest.fixture
def twin(running_twin, aws_at):
    """The twin, reset to its initial state."""
    running_twin.reset()
    aws_at(running_twin.url)
    return running_twin


@pytest.fixture
def ses_list(twin):
    """SES's account-level suppression list: `put(address, ...)` and `get()`, in a region."""
    from types import SimpleNamespace

    from core import aws

    def put(*addresses, reason="BOUNCE", region="us-east-1"):
        for address in addresses:
            aws.ses(region).put_suppressed_destination(EmailAddress=address, Reason=reason)

    def get(region="us-east-1"):
        answer = aws.ses(region).list_suppressed_destinations()
        return [row["EmailAddress"] for row in answer["SuppressedDestinationSummaries"]]

    return SimpleNamespace(put=put, get=get)
