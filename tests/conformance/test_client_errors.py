"""Errors, headers and options as the client `resend` hands them to its caller."""

import asyncio
import uuid

import pytest

from tests.conformance.errors import ask_too_often


def test_each_error_is_the_class_that_the_client_has_for_it(raised):
    assert {what: (got, kind) for what, got, kind in raised} == {
        "no API key": ("401 missing_api_key", "MissingApiKeyError"),
        "a key that is unknown or revoked": ("403 invalid_api_key", "InvalidApiKeyError"),
        "a key that may only send": ("403 restricted_api_key", "ResendError"),
        "a domain that is not verified": ("403 domain_not_verified", "ResendError"),
        "a field is missing": ("422 missing_required_field", "MissingRequiredFieldsError"),
        "a field is wrong": ("422 validation_error", "ValidationError"),
        "a field that has no counterpart": ("422 unsupported_field", "ResendError"),
        "every recipient is suppressed": ("422 recipient_suppressed", "ResendError"),
        "nothing with this id": ("404 not_found", "ResendError"),
        "an idempotency key with another body": ("409 invalid_idempotent_request", "ResendError"),
        "a mail that is not scheduled is moved": ("409 email_not_scheduled", "ResendError"),
        "a mail that is cancelled is cancelled": ("409 email_not_cancellable", "ResendError"),
        "too many requests": ("429 rate_limit_exceeded", "RateLimitError"),
    }


def test_a_refusal_is_heard_over_a_long_request(client, mail, monkeypatch):
    monkeypatch.setattr(client, "api_key", "os_wrong")
    params = mail(text="x" * 20_000_000)
    with pytest.raises(client.exceptions.InvalidApiKeyError):
        client.Emails.send(params)
    with pytest.raises(client.exceptions.InvalidApiKeyError):
        asyncio.run(client.Emails.send_async(params))


def test_every_answer_tells_the_rate_limit_and_the_request(client):
    headers = client.Emails.list()["http_headers"]
    assert int(headers["ratelimit-limit"]) > 0
    assert int(headers["ratelimit-remaining"]) >= 0
    assert int(headers["ratelimit-reset"]) >= 0
    assert headers["x-request-id"]


def test_who_asks_too_often_is_told_when_to_come_back(client, product):
    with pytest.raises(client.exceptions.RateLimitError) as refused:
        ask_too_often(client, product)
    headers = refused.value.headers
    assert int(headers["retry-after"]) >= 1
    assert (headers["ratelimit-limit"], headers["ratelimit-remaining"]) == ("1", "0")
    assert headers["x-request-id"]


@pytest.mark.parametrize("is_async", [False, True])
def test_an_idempotency_key_gets_the_first_answer_again(client, mail, is_async):
    def send(*args):
        emails = client.Emails
        return asyncio.run(emails.send_async(*args)) if is_async else emails.send(*args)

    params, options = mail(), {"idempotency_key": uuid.uuid4().hex}
    first, again = send(params, options), send(params, options)
    assert again["id"] == first["id"]
    assert "idempotent-replayed" not in first["http_headers"]
    assert again["http_headers"]["idempotent-replayed"] == "true"


def test_of_a_permissive_batch_the_good_ones_go(client, mail):
    params, options = [mail(), mail(to="nobody")], {"batch_validation": "permissive"}
    answer = client.Batch.send(params, options)
    assert len(answer["data"]) == 1
    assert [each["index"] for each in answer["errors"]] == [1]
    with pytest.raises(client.exceptions.ValidationError, match=r"1\.to"):
        client.Batch.send(params)
