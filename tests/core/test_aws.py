"""Clients of AWS are slow to make, and shared."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from core import aws


@pytest.fixture(autouse=True)
def _fresh():
    aws._client.cache_clear()
    yield
    aws._client.cache_clear()


def test_threads_that_want_the_first_client_at_once_share_one(monkeypatch):
    made = []

    def make(*_, **__):
        time.sleep(0.05)
        made.append(object())
        return made[-1]

    monkeypatch.setattr("boto3.client", make)
    with ThreadPoolExecutor(20) as pool:
        got = set(pool.map(lambda _: id(aws.ses("eu-central-1")), range(20)))

    assert len(made) == len(got) == 1
