"""Attempts can be found in the log by the id of the request that caused the event."""

import logging

import pytest

from core.context import request_id
from tests.webhooks.webhook_sink import response
from webhooks.dispatch import results
from webhooks.dispatch.loop import deliver_due
from webhooks.models import Endpoint

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def pending_delivery(sink, endpoint_at, publish_events):
    """(endpoint, event) of a delivery caused by the request trace-me-1."""
    endpoint = endpoint_at(sink.url())
    token = request_id.set("trace-me-1")
    try:
        [event] = publish_events()
    finally:
        request_id.reset(token)
    return endpoint, event


@pytest.mark.parametrize(
    ("answer", "level", "status", "reason"),
    [
        (response(204), "DEBUG", 204, ""),
        (response(503), "INFO", 503, "http_503"),
        (None, "INFO", None, "connection_error"),
    ],
)
def test_an_attempt_is_one_log_line(
    pending_delivery, sink, log_lines, answer, level, status, reason
):
    endpoint, event = pending_delivery
    sink.answers["/hook"] = answer
    lines = log_lines("webhooks")

    assert deliver_due().claimed == 1

    [line] = lines
    del line["at"]
    assert line == {
        "level": level,
        "logger": "webhooks.dispatch.results",
        "message": f"Webhook attempt {'failed' if reason else 'succeeded'}",
        "request_id": "trace-me-1",
        "endpoint": str(endpoint.pk),
        "event": event.public_id,
        "attempt": 1,
        "status": status,
        "reason": reason,
    }


def test_successes_are_not_logged_at_info(pending_delivery, log_lines):
    lines = log_lines("webhooks", logging.INFO)
    assert deliver_due().claimed == 1
    assert lines == []


def test_an_error_while_sending_is_logged_with_the_request_id(pending_delivery, log_lines):
    Endpoint.objects.update(encrypted_keyring="nonsense")
    lines = log_lines("webhooks.dispatch.signed_request")
    assert deliver_due().claimed == 1
    [line] = lines
    assert (line["level"], line["request_id"]) == ("ERROR", "trace-me-1")


def test_a_result_that_cannot_be_recorded_is_logged_with_the_request_id(
    pending_delivery, log_lines, monkeypatch
):
    def refuse(results):
        if results:
            raise ValueError("no such thing")

    monkeypatch.setattr(results, "_record_batch", refuse)
    lines = log_lines("webhooks.dispatch.results")
    assert deliver_due().claimed == 1
    # One line for the batch, one for the result in it.
    assert [line.get("request_id") for line in lines] == [None, "trace-me-1"]
