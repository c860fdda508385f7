"""Confirming an SNS subscription and receiving notifications, against the twin."""

import json
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import boto3
import pytest
from django.core.wsgi import get_wsgi_application

from core import aws
from ingest.api import ses
from ingest.models import ProviderEvent
from ingest.sns import CertificateStore
from tests.clients import QuietHandler, serving, wait_until
from tests.twin.twin_running import RunningTwin


class RequestHandler(QuietHandler, WSGIRequestHandler):
    pass


@pytest.fixture(scope="module")
def twin(tmp_path_factory):
    running = RunningTwin.start(tmp_path_factory.mktemp("t"))
    yield running
    running.stop()


@pytest.fixture(autouse=True)
def connected(twin, aws_at, settings, monkeypatch):
    settings.LOCAL_MODE = True
    settings.ALLOWED_HOSTS = ["127.0.0.1", "testserver"]
    monkeypatch.setattr(ses, "CERTIFICATES", CertificateStore())
    aws_at(twin.url)
    ses.policy.cache_clear()
    twin.reset()
    yield
    aws.sns("us-east-1").close()
    ses.policy.cache_clear()


@pytest.fixture
def sns(twin):
    client = boto3.client("sns", region_name="us-east-1", endpoint_url=twin.url)
    yield client
    client.close()


@pytest.fixture
def product():
    """The application on a real port, so that the twin can post to it."""
    server = WSGIServer(("127.0.0.1", 0), RequestHandler)
    server.set_app(get_wsgi_application())
    with serving(server):
        yield f"http://127.0.0.1:{server.server_port}"


@pytest.mark.django_db(transaction=True)
def test_a_subscription_is_confirmed_through_the_api(twin, sns, product):
    topic = sns.create_topic(Name="opensend-events")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=f"{product}/events/ses")

    row = wait_until(lambda: ProviderEvent.objects.first())

    assert (row.kind, row.state) == ("subscription_confirmed", "noted")
    (call,) = twin.calls(operation="ConfirmSubscription")
    assert (call["status"], call["region"]) == (200, "us-east-1")
    (subscription,) = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    response = sns.get_subscription_attributes(SubscriptionArn=subscription["SubscriptionArn"])
    assert response["Attributes"]["ConfirmationWasAuthenticated"] == "true"

    sent = sns.publish(TopicArn=topic, Message='{"eventType": "Send"}')["MessageId"]
    event = wait_until(lambda: ProviderEvent.objects.filter(kind="notification").first())
    assert event.event_id == sent
    assert json.loads(event.body)["Message"] == '{"eventType": "Send"}'


@pytest.mark.django_db(transaction=True)
def test_a_failed_confirmation_returns_503(twin, sns, product, caplog):
    twin.fail(ConfirmSubscription="InternalErrorException")
    topic = sns.create_topic(Name="opensend-events")["TopicArn"]
    rejections = []
    original = ses._reject

    def spy(request, rejection):
        rejections.append((rejection.status, rejection.name))
        return original(request, rejection)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ses, "_reject", spy)
        sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=f"{product}/events/ses")
        wait_until(lambda: rejections)
        twin.heal()

    assert rejections[0] == (503, "confirmation_failed")
    twin.reset()
