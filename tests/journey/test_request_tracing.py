"""One request id in the logs of every process, from the request to the webhook attempt."""

import json

import pytest

from devstack.embedded import free_port
from tests.clients import wait_until

TYPES = ["email.sent", "email.delivered"]


@pytest.fixture
def closed_endpoint(resend_client):
    """The id of an endpoint whose port refuses connections."""
    url = f"http://127.0.0.1:{free_port()}/hooks"
    webhook = resend_client.Webhooks.create({"endpoint": url, "events": TYPES})
    yield webhook["id"]
    resend_client.Webhooks.remove(webhook["id"])


def lines_of(product):
    """The JSON lines in the log of the running product."""
    for line in product.log.read_text().splitlines():
        _, _, text = line.partition(" | ")
        if text.startswith("{"):
            yield json.loads(text)


def test_a_request_can_be_traced_to_its_webhook_attempts(product, closed_endpoint, mail, somebody):
    to = somebody()
    name = f"trace-{to.partition('@')[0]}"
    answer = product.api("POST", "/emails", mail(to), **{"x-request-id": name})
    assert answer.headers["x-request-id"] == name

    def attempts():
        found = [line for line in lines_of(product) if line.get("request_id") == name]
        return found if len({line.get("event") for line in found}) == len(TYPES) else None

    logged = wait_until(attempts, what="an attempt for each of the two events")
    assert {(line["message"], line["level"], line["endpoint"]) for line in logged} == {
        ("Webhook attempt failed", "INFO", closed_endpoint)
    }
    events = product.rows(f"SELECT type, 'whd_' || id FROM events WHERE request_id = '{name}'")
    assert sorted(kind for kind, _ in events) == sorted(TYPES)
    assert {line["event"] for line in logged} == {event for _, event in events}
    assert to not in product.log.read_text()


def test_celery_itself_logs_nothing(product):
    assert not [line for line in lines_of(product) if line["logger"].startswith("celery")]
