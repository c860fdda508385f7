"""A real twin in a process of its own, boto3 clients for it and an HTTP subscriber."""

import boto3
import pytest
from botocore.config import Config

from tests.clients import wait_until
from tests.twin.twin_running import RunningTwin, Subscriber


@pytest.fixture(scope="session")
def start_twin():
    """Start a twin on a free port; all that were started stop at the end."""
    running = []

    def start(var_dir, *arguments):
        twin = RunningTwin.start(var_dir, *arguments)
        running.append(twin)
        return twin

    yield start
    for twin in running:
        twin.stop()


@pytest.fixture(scope="session")
def shared_twin(start_twin, tmp_path_factory):
    return start_twin(tmp_path_factory.mktemp("twin"))


@pytest.fixture
def twin(shared_twin):
    """The shared twin, as if it were new."""
    shared_twin.reset()
    return shared_twin


@pytest.fixture(scope="session")
def connect():
    """`connect(twin, "sesv2", region=...)` gives a client that never tries twice."""
    clients = {}

    def client(twin, service, *, region="us-east-1"):
        key = twin.url, service, region
        if key not in clients:
            clients[key] = boto3.client(
                service,
                region_name=region,
                endpoint_url=twin.url,
                aws_access_key_id="AKIDEXAMPLE",
                aws_secret_access_key="secret",
                config=Config(retries={"total_max_attempts": 1}, read_timeout=10),
            )
        return clients[key]

    yield client
    for each in clients.values():
        each.close()


@pytest.fixture
def ses(twin, connect):
    return connect(twin, "sesv2")


@pytest.fixture
def sns(twin, connect):
    return connect(twin, "sns")


@pytest.fixture
def subscriber():
    with Subscriber() as running:
        yield running


@pytest.fixture
def topic(sns):
    return sns.create_topic(Name="events")["TopicArn"]


@pytest.fixture
def subscribed(sns, topic, subscriber):
    """The subscriber, confirmed on the topic, with the handshake taken off its list."""
    sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=subscriber.url)
    token = subscriber.next().json["Token"]
    subscriber.arn = sns.confirm_subscription(TopicArn=topic, Token=token)["SubscriptionArn"]
    return subscriber


@pytest.fixture
def verified(ses):
    """A verified domain and a configuration set without destinations."""
    ses.create_email_identity(EmailIdentity="example.com")
    ses.get_email_identity(EmailIdentity="example.com")
    ses.create_configuration_set(ConfigurationSetName="mail")
    return ses


@pytest.fixture
def publishing(verified, topic, subscribed):
    """Events of all types come to the subscriber; the validation message is off its list."""
    types = ["SEND", "REJECT", "BOUNCE", "COMPLAINT", "DELIVERY"]
    verified.create_configuration_set_event_destination(
        ConfigurationSetName="mail",
        EventDestinationName="all",
        EventDestination={
            "Enabled": True,
            "MatchingEventTypes": [*types, "RENDERING_FAILURE", "DELIVERY_DELAY"],
            "SnsDestination": {"TopicArn": topic},
        },
    )
    assert "Successfully validated" in subscribed.next().json["Message"]
    return subscribed


@pytest.fixture
def quiet(twin):
    """Call it to wait until the twin has nothing left to post by itself."""

    def wait():
        wait_until(lambda: twin.is_quiet())

    return wait
