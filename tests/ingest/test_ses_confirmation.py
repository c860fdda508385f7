"""Confirming an SNS subscription and receiving notifications, against the twin."""

import json
import subprocess
import sys
import threading
from pathlib import Path
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import boto3
import pytest
import requests
from django.core.wsgi import get_wsgi_application
from django.utils import timezone

from core import aws
from ingest.api import ses
from ingest.models import ProviderEvent
from ingest.sns import CertificateStore

ROOT = Path(__file__).resolve().parents[2]


class QuietHandler(WSGIRequestHandler):
    def log_message(self, *args):
        """Log nothing."""


@pytest.fixture(scope="module")
def twin(tmp_path_factory):
    process = subprocess.Popen(
        [sys.executable, "-m", "twin", "--port", "0", f"--var-dir={tmp_path_factory.mktemp('t')}"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        yield process.stdout.readline().split()[-1]
        process.terminate()


@pytest.fixture(autouse=True)
def connected(twin, settings, monkeypatch):
    settings.LOCAL_MODE = True
    settings.AWS_ENDPOINT_URL = twin
    settings.ALLOWED_HOSTS = ["127.0.0.1", "testserver"]
    monkeypatch.setattr(ses, "CERTIFICATES", CertificateStore())
    aws._client.cache_clear()
    ses.policy.cache_clear()
    requests.post(f"{twin}/_twin/reset?all=true", timeout=5).raise_for_status()
    yield
    aws.sns("us-east-1").close()
    aws._client.cache_clear()
    ses.policy.cache_clear()


@pytest.fixture
def sns(twin):
    client = boto3.client("sns", region_name="us-east-1", endpoint_url=twin)
    yield client
    client.close()


@pytest.fixture
def product():
    """The application on a real port, so that the twin can post to it."""
    server = WSGIServer(("127.0.0.1", 0), QuietHandler)
    server.set_app(get_wsgi_application())
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def wait_for(condition, timeout=5):
    end = timezone.now().timestamp() + timeout
    while not (result := condition()):
        assert timezone.now().timestamp() < end, "timed out"
    return result


def calls(twin, operation):
    return requests.get(f"{twin}/_twin/calls", {"operation": operation}, timeout=5).json()


@pytest.mark.django_db(transaction=True)
def test_a_subscription_is_confirmed_through_the_api(twin, sns, product):
    topic = sns.create_topic(Name="opensend-events")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=f"{product}/events/ses")

    row = wait_for(lambda: ProviderEvent.objects.first())

    assert (row.kind, row.state) == ("subscription_confirmed", "noted")
    (call,) = calls(twin, "ConfirmSubscription")
    assert (call["status"], call["region"]) == (200, "us-east-1")
    (subscription,) = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    response = sns.get_subscription_attributes(SubscriptionArn=subscription["SubscriptionArn"])
    assert response["Attributes"]["ConfirmationWasAuthenticated"] == "true"

    sent = sns.publish(TopicArn=topic, Message='{"eventType": "Send"}')["MessageId"]
    event = wait_for(lambda: ProviderEvent.objects.filter(kind="notification").first())
    assert event.event_id == sent
    assert json.loads(event.body)["Message"] == '{"eventType": "Send"}'


@pytest.mark.django_db(transaction=True)
def test_a_failed_confirmation_returns_503(twin, sns, product, caplog):
    fault = {"fail_calls": {"ConfirmSubscription": "InternalErrorException"}}
    requests.post(f"{twin}/_twin/faults", json=fault, timeout=5).raise_for_status()
    topic = sns.create_topic(Name="opensend-events")["TopicArn"]
    rejections = []
    original = ses._reject

    def spy(request, rejection):
        rejections.append((rejection.status, rejection.name))
        return original(request, rejection)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ses, "_reject", spy)
        sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=f"{product}/events/ses")
        wait_for(lambda: rejections)
        requests.delete(f"{twin}/_twin/faults", timeout=5).raise_for_status()

    assert rejections[0] == (503, "confirmation_failed")
    requests.post(f"{twin}/_twin/reset?all=true", timeout=5)
