"""Repeated POST /domains with an idempotency key wait for the SES calls of the first one."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from accounts.models import IdempotencyRecord
from domains import services
from domains.models import Domain
from domains.services import verify_domain


def post(client):
    return client.post("/domains", {"name": "example.org"}, headers={"Idempotency-Key": "k"})


@pytest.mark.django_db(transaction=True)
def test_a_repeated_request_conflicts_until_the_ses_calls_are_done(
    api_key, client_for, twin, monkeypatch
):
    started, proceed = threading.Event(), threading.Event()

    def slow(domain):
        started.set()
        assert proceed.wait(10)
        return verify_domain(domain)

    def first():
        try:
            return post(client_for(api_key[1]))
        finally:
            connection.close()

    monkeypatch.setattr(services, "verify_domain", slow)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(first)
        assert started.wait(10)
        meanwhile = post(client_for(api_key[1]))
        proceed.set()
        created = running.result(10)
    assert meanwhile.status_code == 409
    assert meanwhile.json()["name"] == "concurrent_idempotent_requests"
    assert int(meanwhile["retry-after"]) >= 1
    assert created.status_code == 201
    assert created.json()["records"]
    again = post(client_for(api_key[1]))
    assert again["idempotent-replayed"] == "true"
    assert again.json() == created.json()


@pytest.mark.django_db
def test_the_response_of_a_crashed_request_is_replayed_after_its_lease(api, twin):
    created = post(api).json()
    later = timezone.now() + timedelta(minutes=1)
    IdempotencyRecord.objects.update(unfinished_until=later)
    assert post(api).status_code == 409
    IdempotencyRecord.objects.update(unfinished_until=timezone.now() - timedelta(seconds=1))
    assert post(api).json() == created
    assert Domain.objects.count() == 1


@pytest.mark.django_db
def test_the_record_is_leased_during_the_ses_calls(api, twin, monkeypatch):
    leases = []

    def observed(domain):
        leases.append(IdempotencyRecord.objects.get().unfinished_until)
        return verify_domain(domain)

    monkeypatch.setattr(services, "verify_domain", observed)
    post(api)
    assert timedelta(seconds=80) < leases[0] - timezone.now() <= timedelta(minutes=2)
    assert IdempotencyRecord.objects.get().unfinished_until is None


@pytest.mark.django_db
def test_a_failure_after_the_commit_releases_the_key(api, twin, monkeypatch):
    def broken(domain):
        raise RuntimeError("killed")

    monkeypatch.setattr(services, "verify_domain", broken)
    api.raise_request_exception = False
    assert post(api).status_code == 500
    again = post(api)
    assert (again.status_code, again["idempotent-replayed"]) == (201, "true")
    assert again.json()["id"] == str(Domain.objects.get().pk)
