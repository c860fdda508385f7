"""A domain is answered once SES was asked, and repetitions get that answer or none."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from accounts.models import IdempotencyRecord
from domains import services
from domains.models import Domain
from domains.services import establish


def post(client):
    return client.post("/domains", {"name": "example.org"}, headers={"Idempotency-Key": "k"})


@pytest.mark.django_db(transaction=True)
def test_a_repetition_waits_until_ses_has_been_asked(api_key, client_for, twin, monkeypatch):
    began, go_on = threading.Event(), threading.Event()

    def slow(domain):
        began.set()
        assert go_on.wait(10)
        return establish(domain)

    def first():
        try:
            return post(client_for(api_key[1]))
        finally:
            connection.close()

    monkeypatch.setattr(services, "establish", slow)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(first)
        assert began.wait(10)
        meanwhile = post(client_for(api_key[1]))
        go_on.set()
        made = running.result(10)
    assert meanwhile.status_code == 409
    assert meanwhile.json()["name"] == "concurrent_idempotent_requests"
    assert int(meanwhile["retry-after"]) >= 1
    assert made.status_code == 201
    assert made.json()["records"]
    again = post(client_for(api_key[1]))
    assert again["idempotent-replayed"] == "true"
    assert again.json() == made.json()


@pytest.mark.django_db
def test_an_answer_whose_holder_died_is_given_once_its_lease_is_over(api, twin):
    made = post(api).json()
    later = timezone.now() + timedelta(minutes=1)
    IdempotencyRecord.objects.update(unfinished_until=later)
    assert post(api).status_code == 409
    IdempotencyRecord.objects.update(unfinished_until=timezone.now() - timedelta(seconds=1))
    assert post(api).json() == made
    assert Domain.objects.count() == 1


@pytest.mark.django_db
def test_a_record_is_held_from_the_commit_on_and_for_a_while(api, twin, monkeypatch):
    seen = []

    def looking(domain):
        seen.append(IdempotencyRecord.objects.get().unfinished_until)
        return establish(domain)

    monkeypatch.setattr(services, "establish", looking)
    post(api)
    assert timedelta(seconds=80) < seen[0] - timezone.now() <= timedelta(minutes=2)
    assert IdempotencyRecord.objects.get().unfinished_until is None


@pytest.mark.django_db
def test_work_after_the_commit_that_breaks_off_holds_no_key(api, twin, monkeypatch):
    def broken(domain):
        raise RuntimeError("killed")

    monkeypatch.setattr(services, "establish", broken)
    api.raise_request_exception = False
    assert post(api).status_code == 500
    again = post(api)
    assert (again.status_code, again["idempotent-replayed"]) == (201, "true")
    assert again.json()["id"] == str(Domain.objects.get().pk)
