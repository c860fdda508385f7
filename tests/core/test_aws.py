"""AWS clients are slow to create and shared."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from core import aws


@pytest.fixture(autouse=True)
def _no_cached_clients():
    aws._client.cache_clear()
    yield
    aws._client.cache_clear()


def test_concurrent_threads_share_one_new_client(monkeypatch):
    created = []

    def create(*_, **__):
        time.sleep(0.05)
        created.append(object())
        return created[-1]

    monkeypatch.setattr("boto3.client", create)
    with ThreadPoolExecutor(20) as pool:
        client_ids = set(pool.map(lambda _: id(aws.ses("eu-central-1")), range(20)))

    assert len(created) == len(client_ids) == 1
