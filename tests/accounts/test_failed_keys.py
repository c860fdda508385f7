"""Requests without a valid key are limited by address; those with one never are."""

import pytest
from rest_framework.test import APIClient

from accounts.services import revoke_api_key
from core import redis
from core.metrics import AUTH_FAILURES

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _limit(settings):
    settings.API_AUTH_FAILURE_LIMIT = 3


def ask(token="os_wrong", peer="192.0.2.1", path="/emails", **headers):
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    return APIClient(headers=headers).get(path, REMOTE_ADDR=peer)


def codes(count, **options):
    return [ask(f"os_{number}", **options).status_code for number in range(count)]


def test_past_the_limit_wrong_keys_get_429_with_a_time(api_key):
    assert codes(5) == [403, 403, 403, 429, 429]
    refused = ask()
    assert refused.json()["name"] == "rate_limit_exceeded"
    message = refused.json()["message"]
    assert "A valid key works at once." in message
    assert message.count("second") == 1
    assert 1 <= int(refused["Retry-After"]) <= 20  # three a minute
    assert "ratelimit-limit" not in refused


def test_a_valid_key_from_the_same_address_is_never_touched(api_key):
    codes(10)
    for _ in range(5):
        assert ask(api_key[1]).status_code == 200
        assert ask().status_code == 429


def test_another_address_is_not_limited():
    codes(5)
    assert codes(1, peer="198.51.100.7") == [403]
    assert codes(1, peer="2001:db8::1") == [403]


@pytest.mark.parametrize(
    "requests",
    [
        [{"token": None}] * 5,
        [{"token": ""}] * 5,
        [{"peer": f"2001:db8::{number}"} for number in range(1, 6)],
        [{"X-Forwarded-For": f"198.51.100.{number}"} for number in range(5)],
        [
            {"path": path}
            for path in ("/emails", "/domains", "/webhooks", "/contacts", "/api/emails")
        ],
    ],
    ids=["missing", "empty", "ipv6", "forwarded-for", "paths"],
)
def test_every_request_without_a_valid_key_counts(requests):
    answers = [ask(**request).status_code for request in requests]
    assert set(answers[:3]) <= {401, 403}
    assert answers[3:] == [429, 429]


def test_a_revoked_key_counts_as_wrong(api_key):
    revoke_api_key(api_key[0])
    assert [ask(api_key[1]).status_code for _ in range(4)] == [403, 403, 403, 429]


def test_behind_a_proxy_the_clients_address_counts(settings):
    settings.BEHIND_TLS_PROXY = True
    first, second = ({"X-Forwarded-For": f"203.0.113.9, 198.51.100.{each}"} for each in (7, 8))
    assert codes(4, peer="10.0.0.1", **first) == [403, 403, 403, 429]
    assert codes(1, peer="10.0.0.1", **second) == [403]


def test_tokens_come_back_with_time():
    assert codes(4)[-1] == 429
    bucket = "opensend:rate:failures:192.0.2.1"
    at = float(redis.client().hget(bucket, "at"))
    redis.client().hset(bucket, "at", at - 20)
    assert codes(2) == [403, 429]


def test_it_can_be_switched_off(settings):
    settings.API_AUTH_FAILURE_LIMIT = 0
    assert codes(10) == [403] * 10


def test_without_redis_failures_are_answered_as_usual(settings, monkeypatch):
    monkeypatch.setattr("core.redis._unavailable_until", float("inf"))
    assert codes(10) == [403] * 10


def test_it_is_logged_and_counted(log_lines):
    lines = log_lines("accounts")
    names = ("api_key", "api_key_limited")
    before = [AUTH_FAILURES.labels(name)._value.get() for name in names]
    codes(5)
    after = [AUTH_FAILURES.labels(name)._value.get() for name in names]
    assert [new - old for new, old in zip(after, before, strict=True)] == [3, 2]
    (line,) = lines
    assert (line["level"], line["network"]) == ("WARNING", "192.0.2.1")
    assert "os_" not in str(line)
