"""Errors, headers and options as the client `resend` returns them."""

import asyncio
import uuid

import pytest

from tests.conformance.errors import exceed_rate_limit


def test_each_error_raises_the_clients_exception_for_it(raised_errors):
    assert {what: (got, kind) for what, got, kind in raised_errors} == {
        "no API key": ("401 missing_api_key", "MissingApiKeyError"),
        "an unknown or revoked API key": ("403 invalid_api_key", "InvalidApiKeyError"),
        "an API key with sending access only": ("403 restricted_api_key", "ResendError"),
        "an unverified domain": ("403 domain_not_verified", "ResendError"),
        "a missing field": ("422 missing_required_field", "MissingRequiredFieldsError"),
        "an invalid field": ("422 validation_error", "ValidationError"),
        "an unsupported field": ("422 unsupported_field", "ResendError"),
        "every recipient suppressed": ("422 recipient_suppressed", "ResendError"),
        "an unknown id": ("404 not_found", "ResendError"),
        "an idempotency key reused with another body": (
            "409 invalid_idempotent_request",
            "ResendError",
        ),
        "rescheduling an email that is not scheduled": ("409 email_not_scheduled", "ResendError"),
        "cancelling a cancelled email": ("409 email_not_cancellable", "ResendError"),
        "too many requests": ("429 rate_limit_exceeded", "RateLimitError"),
    }


def test_a_client_receives_the_error_while_it_uploads_a_large_body(client, mail, monkeypatch):
    monkeypatch.setattr(client, "api_key", "os_wrong")
    params = mail(text="x" * 20_000_000)
    with pytest.raises(client.exceptions.InvalidApiKeyError):
        client.Emails.send(params)
    with pytest.raises(client.exceptions.InvalidApiKeyError):
        asyncio.run(client.Emails.send_async(params))


def test_every_response_has_rate_limit_headers_and_a_request_id(client):
    headers = client.Emails.list()["http_headers"]
    assert int(headers["ratelimit-limit"]) > 0
    assert int(headers["ratelimit-remaining"]) >= 0
    assert int(headers["ratelimit-reset"]) >= 0
    assert headers["x-request-id"]


def test_an_exceeded_rate_limit_says_when_to_retry(client, product):
    with pytest.raises(client.exceptions.RateLimitError) as raised:
        exceed_rate_limit(client, product)
    headers = raised.value.headers
    assert int(headers["retry-after"]) >= 1
    assert (headers["ratelimit-limit"], headers["ratelimit-remaining"]) == ("1", "0")
    assert headers["x-request-id"]


@pytest.mark.parametrize("is_async", [False, True])
def test_a_repeated_idempotency_key_returns_the_first_response(client, mail, is_async):
    def send(*args):
        emails = client.Emails
        return asyncio.run(emails.send_async(*args)) if is_async else emails.send(*args)

    params, options = mail(), {"idempotency_key": uuid.uuid4().hex}
    first, again = send(params, options), send(params, options)
    assert again["id"] == first["id"]
    assert "idempotent-replayed" not in first["http_headers"]
    assert again["http_headers"]["idempotent-replayed"] == "true"


def test_a_permissive_batch_sends_its_valid_mails(client, mail):
    params, options = [mail(), mail(to="nobody")], {"batch_validation": "permissive"}
    answer = client.Batch.send(params, options)
    assert len(answer["data"]) == 1
    assert [each["index"] for each in answer["errors"]] == [1]
    with pytest.raises(client.exceptions.ValidationError, match=r"1\.to"):
        client.Batch.send(params)
