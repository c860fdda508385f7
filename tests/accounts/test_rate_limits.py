import socket

import pytest
from django.test import Client

from accounts.models import Workspace
from accounts.services import create_api_key
from core import redis
from core.metrics import REDIS_UNAVAILABLE
from tests.clients import sending_client

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _limits(settings):
    settings.API_RATE_LIMIT = 10
    settings.API_RATE_BURST = 20


def statuses(client, count):
    return [client.get("/emails").status_code for _ in range(count)]


def test_every_answer_tells_what_is_left(api):
    answer = api.get("/emails")
    assert answer["ratelimit-limit"] == "10"
    assert answer["ratelimit-remaining"] == "19"
    assert answer["ratelimit-reset"] == "1"
    assert api.get("/emails/nonsense")["ratelimit-remaining"] == "18"


def test_past_the_burst_requests_are_refused_until_tokens_come_back(api, settings):
    settings.API_RATE_LIMIT = 1
    settings.API_RATE_BURST = 3
    assert statuses(api, 4) == [200, 200, 200, 429]
    refused = api.get("/emails")
    assert refused.json()["name"] == "rate_limit_exceeded"
    assert refused["retry-after"] == "1"
    assert (refused["ratelimit-remaining"], refused["ratelimit-limit"]) == ("0", "1")
    assert int(refused["ratelimit-reset"]) in (2, 3)


def test_what_a_key_may_not_do_counts_too(workspace, settings):
    settings.API_RATE_LIMIT = settings.API_RATE_BURST = 2
    client = sending_client(workspace)
    answers = [client.get("/domains") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [403, 403, 429]
    assert [answer["ratelimit-remaining"] for answer in answers] == ["1", "0", "0"]


def test_a_request_counts_once(api):
    assert [api.get("/emails")["ratelimit-remaining"] for _ in range(3)] == ["19", "18", "17"]


def test_tokens_come_back_with_time(api, api_key, settings):
    settings.API_RATE_LIMIT = 1
    settings.API_RATE_BURST = 1
    assert statuses(api, 2) == [200, 429]
    bucket = f"opensend:rate:{api_key[0].pk}"
    at = float(redis.client().hget(bucket, "at"))
    redis.client().hset(bucket, "at", at - 1)
    assert statuses(api, 1) == [200]


def test_a_clock_set_back_gives_nothing_and_takes_nothing(api, api_key, settings):
    settings.API_RATE_LIMIT = settings.API_RATE_BURST = 2
    assert statuses(api, 1) == [200]
    redis.client().hset(f"opensend:rate:{api_key[0].pk}", "at", 4e9)
    assert statuses(api, 2) == [200, 429]


def test_each_key_has_a_bucket_of_its_own(api, workspace, client_for, settings):
    settings.API_RATE_LIMIT = settings.API_RATE_BURST = 1
    other = client_for(create_api_key(workspace=workspace, name="other")[1])
    assert statuses(api, 2) == [200, 429]
    assert statuses(other, 1) == [200]


def test_a_workspace_may_have_limits_of_its_own(api, stranger, workspace):
    Workspace.objects.filter(pk=workspace.pk).update(rate_limit=3, rate_burst=3)
    assert statuses(api, 4) == [200, 200, 200, 429]
    assert statuses(stranger, 4) == [200] * 4


def test_a_workspace_with_more_a_second_than_the_burst_may_use_it(api, workspace):
    Workspace.objects.filter(pk=workspace.pk).update(rate_limit=30)
    answer = api.get("/emails")
    assert (answer["ratelimit-limit"], answer["ratelimit-remaining"]) == ("30", "29")


@pytest.mark.parametrize("whose", ["installation", "workspace"])
def test_a_limit_of_nothing_is_no_limit(api, workspace, settings, whose):
    if whose == "workspace":
        Workspace.objects.filter(pk=workspace.pk).update(rate_limit=0)
    else:
        settings.API_RATE_LIMIT = 0
    answer = api.get("/emails")
    assert answer.status_code == 200
    assert "ratelimit-limit" not in answer


def test_unknown_keys_use_up_nobodys_bucket(api):
    for _ in range(30):
        Client(headers={"Authorization": "Bearer os_x"}).get("/emails")
    assert api.get("/emails")["ratelimit-remaining"] == "19"


def test_a_bucket_is_forgotten_once_it_is_full_again(api, api_key):
    api.get("/emails")
    assert 0 < redis.client().pttl(f"opensend:rate:{api_key[0].pk}") <= 3000


def test_without_redis_requests_pass_and_it_is_counted(api, settings, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    settings.API_RATE_LIMIT = settings.API_RATE_BURST = 1
    settings.REDIS_URL = f"redis://127.0.0.1:{port}/0"
    counted = REDIS_UNAVAILABLE.labels("rate_limit")._value
    before = counted.get()
    redis.client.cache_clear()
    try:
        answers = [api.get("/emails") for _ in range(5)]
    finally:
        redis.client.cache_clear()
    assert {answer.status_code for answer in answers} == {200}
    assert "ratelimit-limit" not in answers[0]
    assert counted.get() == before + 5
