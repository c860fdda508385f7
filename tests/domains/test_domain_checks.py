"""Domains while AWS is unavailable, and how the worker checks them."""

import socket
from datetime import timedelta

import pytest
from django.db.models import F
from django.utils import timezone

from core.queue.queues import Batch
from core.queue.work import MAX_CRASHES
from domains import identities
from domains.models import Domain
from domains.verification import check_due, next_check
from tests.database import make_due

pytestmark = pytest.mark.django_db


@pytest.fixture
def no_aws(aws_at):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    aws_at(f"http://127.0.0.1:{port}")


def add(api):
    return api.post("/domains", {"name": "shop.example"})


def due_in():
    return Domain.objects.get().next_attempt_at - timezone.now()


def test_a_domain_is_created_with_a_reason_while_aws_is_unavailable(api, no_aws):
    answer = add(api)
    assert answer.status_code == 201
    created = answer.json()
    assert (created["status"], created["records"]) == ("pending", [])
    assert "Could not connect" in created["reason"]
    assert api.get(f"/domains/{created['id']}").json() == created


def test_the_worker_verifies_the_domain_when_aws_is_available_again(
    api, no_aws, running_twin, aws_at, published
):
    created = add(api).json()
    make_due(Domain)
    assert check_due().claimed == 1
    assert api.get(f"/domains/{created['id']}").json()["status"] == "pending"
    assert timedelta(seconds=50) < due_in() <= timedelta(minutes=1)

    aws_at(running_twin.url)
    make_due(Domain)
    assert check_due().claimed == 1
    done = api.get(f"/domains/{created['id']}").json()
    assert (done["status"], done["reason"], len(done["records"])) == ("verified", None, 3)
    assert [kind for kind, _ in published()] == ["domain.created", "domain.updated"]


@pytest.mark.parametrize("code", ["ThrottlingException", "InternalServiceErrorException"])
@pytest.mark.parametrize("call", ["CreateEmailIdentity", "GetEmailIdentity"])
def test_a_temporary_error_is_retried(api, twin, call, code):
    twin.fail(**{call: code})
    created = add(api).json()
    assert created["status"] == "pending"
    assert code in created["reason"]
    twin.fail()
    make_due(Domain)
    check_due()
    assert api.get(f"/domains/{created['id']}").json()["status"] == "verified"


def test_an_existing_identity_is_adopted(api, twin):
    twin.fail(GetEmailIdentity="ThrottlingException")
    add(api)
    tokens = Domain.objects.get().dkim_tokens
    Domain.objects.update(dkim_tokens=[])
    twin.fail()
    make_due(Domain)
    check_due()
    domain = Domain.objects.get()
    assert (domain.dkim_tokens, domain.is_verified) == (tokens, True)


def test_an_identity_deleted_at_aws_is_created_again_with_new_records(api, twin):
    created = add(api).json()
    identities.delete_domain_identity(Domain.objects.get())
    again = api.post(f"/domains/{created['id']}/verify").json()
    assert (again["status"], again["reason"], len(again["records"])) == ("verified", None, 3)
    current = identities.check_domain_status(Domain.objects.get()).dkim_tokens
    assert Domain.objects.get().dkim_tokens == current
    values = {f"{token}.dkim.amazonses.com" for token in current}
    assert {record["value"] for record in again["records"]} == values


def test_a_failed_check_keeps_a_domain_verified(workspace, no_aws, published):
    created = Domain.objects.create(
        workspace=workspace,
        name="ours.example",
        status="verified",
        region="us-east-1",
        dkim_tokens=["a"],
    )
    make_due(Domain)
    assert check_due().claimed == 1
    created.refresh_from_db()
    assert created.is_verified
    assert created.reason
    assert published() == []


# --- Deletion -------------------------------------------------------------------------


def test_a_domain_deleted_while_aws_is_unavailable_is_deleted_at_ses_later(
    api, twin, aws_at, running_twin, published
):
    created = add(api).json()
    aws_at("http://127.0.0.1:9")
    assert api.delete(f"/domains/{created['id']}").status_code == 200
    assert api.get(f"/domains/{created['id']}").status_code == 404
    assert api.get("/domains").json()["data"] == []
    assert published()[-1][0] == "domain.deleted"
    email = {"from": "a@shop.example", "to": "b@example.net", "subject": "s", "text": "t"}
    assert api.post("/emails", email).status_code == 403
    make_due(Domain)
    check_due()
    assert Domain.objects.count() == 1

    aws_at(running_twin.url)
    make_due(Domain)
    check_due()
    assert not Domain.objects.exists()
    assert running_twin.operations()[-1] == "DeleteEmailIdentity"
    assert [kind for kind, _ in published()].count("domain.deleted") == 1


def test_a_domain_without_identity_can_be_deleted(api, twin):
    created = add(api).json()
    identities.delete_domain_identity(Domain.objects.get())
    assert api.delete(f"/domains/{created['id']}").status_code == 200
    assert not Domain.objects.exists()


def test_a_domain_deleted_during_its_check_stays_deleted(api, twin, monkeypatch, published):
    created = add(api).json()
    genuine = identities.check_domain_status

    def delete_meanwhile(domain):
        twin.fail(DeleteEmailIdentity="ThrottlingException")
        assert api.delete(f"/domains/{created['id']}").status_code == 200
        return genuine(domain)

    monkeypatch.setattr(identities, "check_domain_status", delete_meanwhile)
    Domain.objects.update(status="pending")
    make_due(Domain)
    check_due()
    assert published()[-1][0] == "domain.deleted"
    assert due_in() <= timedelta(0)  # the deletion was not deferred
    monkeypatch.undo()
    twin.fail()
    make_due(Domain)
    check_due()
    assert not Domain.objects.exists()


def test_verifying_a_domain_deleted_meanwhile_is_a_404(api, twin, monkeypatch):
    created = add(api).json()
    genuine = identities.check_domain_status

    def delete_meanwhile(domain):
        identity = genuine(domain)
        Domain.objects.all().delete()
        return identity

    monkeypatch.setattr(identities, "check_domain_status", delete_meanwhile)
    assert api.post(f"/domains/{created['id']}/verify").status_code == 404


# --- Check schedule -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("age", "status", "wait"),
    [
        (timedelta(minutes=1), "pending", timedelta(minutes=1)),
        (timedelta(minutes=59), "failed", timedelta(minutes=1)),
        (timedelta(hours=6), "pending", timedelta(minutes=30)),
        (timedelta(days=30), "pending", timedelta(hours=1)),
        (timedelta(minutes=1), "verified", timedelta(days=1)),
    ],
)
def test_new_domains_are_checked_more_often_than_old_ones(age, status, wait):
    domain = Domain(status=status, created_at=timezone.now() - age)
    assert abs(next_check(domain) - wait) < timedelta(seconds=2)


def test_a_check_schedules_the_next_one(api, twin):
    add(api)
    make_due(Domain)
    check_due()
    assert timedelta(hours=23) < due_in() <= timedelta(days=1)


def test_ten_domains_are_claimed_at_a_time_oldest_due_first(workspace, twin):
    now = timezone.now()
    Domain.objects.bulk_create(
        Domain(
            workspace=workspace,
            name=f"d{number}.example",
            region="us-east-1",
            status="pending",
            next_attempt_at=now - timedelta(seconds=number),
        )
        for number in range(12)
    )
    assert check_due().claimed == 10
    remaining = Domain.objects.filter(status="pending").values_list("name", flat=True)
    assert set(remaining) == {"d0.example", "d1.example"}


def test_a_poisoned_domain_is_deferred_for_a_day(api, twin):
    add(api)
    Domain.objects.update(crashes=MAX_CRASHES)
    make_due(Domain)
    calls = twin.operations()
    check_due()
    assert twin.operations() == calls
    assert due_in() > timedelta(hours=23)


def test_a_batch_counts_the_domains_that_failed(workspace, twin):
    twin.fail(GetEmailIdentity="ThrottlingException", DeleteEmailIdentity="ThrottlingException")
    due = {"workspace": workspace, "region": "us-east-1", "dkim_tokens": ["a"]}
    Domain.objects.create(name="unavailable.example", **due)
    Domain.objects.create(name="leaving.example", deleted_at=timezone.now(), **due)
    make_due(Domain)
    assert check_due() == Batch(claimed=2, processed=0, failed=2)
    twin.fail()
    make_due(Domain)
    assert check_due() == Batch(claimed=2, processed=2, failed=0)
    Domain.objects.update(crashes=MAX_CRASHES)
    make_due(Domain)
    assert check_due() == Batch(claimed=1, processed=0, failed=1)


def test_a_worker_that_lost_its_lease_schedules_no_check(api, twin, monkeypatch):
    add(api)
    genuine = identities.check_domain_status
    leased_until = timezone.now() + timedelta(minutes=5)

    def claim_meanwhile(domain):
        Domain.objects.update(claims=F("claims") + 1, next_attempt_at=leased_until)
        return genuine(domain)

    monkeypatch.setattr(identities, "check_domain_status", claim_meanwhile)
    make_due(Domain)
    check_due()
    assert Domain.objects.get().next_attempt_at == leased_until


def test_a_late_check_does_not_defer_a_deletion(api, twin, monkeypatch):
    created = add(api).json()

    def delete_meanwhile(domain):
        twin.fail(DeleteEmailIdentity="ThrottlingException")
        assert api.delete(f"/domains/{created['id']}").status_code == 200
        return timedelta(days=1)

    monkeypatch.setattr("domains.verification.next_check", delete_meanwhile)
    make_due(Domain)
    check_due()
    assert due_in() <= timedelta(0)
