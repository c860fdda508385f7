"""Domains while AWS is away, and what the worker does about them."""

import socket
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from core.queue.work import MAX_CRASHES
from domains import identities
from domains.models import Domain
from domains.verification import check_due, next_check

pytestmark = pytest.mark.django_db


@pytest.fixture
def no_aws(aws_at):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    aws_at(f"http://127.0.0.1:{port}")


def make_due():
    with connection.cursor() as cursor:
        cursor.execute("UPDATE domains SET next_attempt_at = now()")


def add(api):
    return api.post("/domains", {"name": "shop.example"})


def due_in():
    return Domain.objects.get().next_attempt_at - timezone.now()


def test_without_aws_the_domain_is_kept_and_the_answer_says_why(api, no_aws):
    answer = add(api)
    assert answer.status_code == 201
    made = answer.json()
    assert (made["status"], made["records"]) == ("pending", [])
    assert "Could not connect" in made["reason"]
    assert api.get(f"/domains/{made['id']}").json() == made


def test_the_worker_completes_what_aws_was_not_there_for(api, no_aws, running_twin, aws_at, told):
    made = add(api).json()
    make_due()
    assert check_due() == 1
    assert api.get(f"/domains/{made['id']}").json()["status"] == "pending"
    assert timedelta(seconds=50) < due_in() <= timedelta(minutes=1)

    aws_at(running_twin.url)
    make_due()
    assert check_due() == 1
    done = api.get(f"/domains/{made['id']}").json()
    assert (done["status"], done["reason"], len(done["records"])) == ("verified", None, 3)
    assert [kind for kind, _ in told()] == ["domain.created", "domain.updated"]


@pytest.mark.parametrize("code", ["ThrottlingException", "InternalServiceErrorException"])
@pytest.mark.parametrize("call", ["CreateEmailIdentity", "GetEmailIdentity"])
def test_a_step_that_ses_refuses_for_now_is_tried_again(api, twin, call, code):
    twin.fails(**{call: code})
    made = add(api).json()
    assert made["status"] == "pending"
    assert code in made["reason"]
    twin.fails()
    make_due()
    check_due()
    assert api.get(f"/domains/{made['id']}").json()["status"] == "verified"


def test_an_identity_that_exists_already_is_adopted(api, twin):
    twin.fails(GetEmailIdentity="ThrottlingException")
    add(api)
    tokens = Domain.objects.get().dkim_tokens
    Domain.objects.update(dkim_tokens=[])
    twin.fails()
    make_due()
    check_due()
    domain = Domain.objects.get()
    assert (domain.dkim_tokens, domain.is_verified) == (tokens, True)


def test_an_identity_that_was_removed_at_aws_is_made_anew_with_its_records(api, twin):
    made = add(api).json()
    identities.delete_domain_identity(Domain.objects.get())
    again = api.post(f"/domains/{made['id']}/verify").json()
    assert (again["status"], again["reason"], len(again["records"])) == ("verified", None, 3)
    there = identities.check_domain_status(Domain.objects.get()).dkim_tokens
    assert Domain.objects.get().dkim_tokens == there
    values = {f"{token}.dkim.amazonses.com" for token in there}
    assert {record["value"] for record in again["records"]} == values


def test_a_check_that_cannot_be_made_does_not_set_a_verified_domain_back(workspace, no_aws, told):
    made = Domain.objects.create(
        workspace=workspace,
        name="ours.example",
        status="verified",
        region="us-east-1",
        dkim_tokens=["a"],
    )
    make_due()
    assert check_due() == 1
    made.refresh_from_db()
    assert made.is_verified
    assert made.reason
    assert told() == []


# --- Removal --------------------------------------------------------------------------


def test_without_aws_a_domain_is_removed_here_now_and_there_later(
    api, twin, aws_at, running_twin, told
):
    made = add(api).json()
    aws_at("http://127.0.0.1:9")
    assert api.delete(f"/domains/{made['id']}").status_code == 200
    assert api.get(f"/domains/{made['id']}").status_code == 404
    assert api.get("/domains").json()["data"] == []
    assert told()[-1][0] == "domain.deleted"
    email = {"from": "a@shop.example", "to": "b@example.net", "subject": "s", "text": "t"}
    assert api.post("/emails", email).status_code == 403
    make_due()
    check_due()
    assert Domain.objects.count() == 1

    aws_at(running_twin.url)
    make_due()
    check_due()
    assert not Domain.objects.exists()
    assert running_twin.calls()[-1] == "DeleteEmailIdentity"
    assert [kind for kind, _ in told()].count("domain.deleted") == 1


def test_an_identity_that_is_gone_already_is_as_good_as_removed(api, twin):
    made = add(api).json()
    identities.delete_domain_identity(Domain.objects.get())
    assert api.delete(f"/domains/{made['id']}").status_code == 200
    assert not Domain.objects.exists()


def test_a_domain_removed_during_its_check_stays_removed(api, twin, monkeypatch, told):
    made = add(api).json()
    look = identities.check_domain_status

    def removed_meanwhile(domain):
        twin.fails(DeleteEmailIdentity="ThrottlingException")
        assert api.delete(f"/domains/{made['id']}").status_code == 200
        return look(domain)

    monkeypatch.setattr(identities, "check_domain_status", removed_meanwhile)
    Domain.objects.update(status="pending")
    make_due()
    check_due()
    assert told()[-1][0] == "domain.deleted"
    assert due_in() <= timedelta(0)  # nobody put the removal off
    monkeypatch.undo()
    twin.fails()
    make_due()
    check_due()
    assert not Domain.objects.exists()


def test_a_domain_removed_while_it_is_verified_is_a_404(api, twin, monkeypatch):
    made = add(api).json()
    look = identities.check_domain_status

    def removed_meanwhile(domain):
        found = look(domain)
        Domain.objects.all().delete()
        return found

    monkeypatch.setattr(identities, "check_domain_status", removed_meanwhile)
    assert api.post(f"/domains/{made['id']}/verify").status_code == 404


# --- When to look next ----------------------------------------------------------------


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
def test_new_domains_are_looked_at_often_and_old_ones_seldom(age, status, wait):
    domain = Domain(status=status, created_at=timezone.now() - age)
    assert abs(next_check(domain) - wait) < timedelta(seconds=2)


def test_a_checked_domain_is_due_again_when_it_is_to_be_looked_at_next(api, twin):
    add(api)
    make_due()
    check_due()
    assert timedelta(hours=23) < due_in() <= timedelta(days=1)


def test_ten_domains_are_taken_at_a_time_the_longest_due_first(workspace, twin):
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
    assert check_due() == 10
    left = Domain.objects.filter(status="pending").values_list("name", flat=True)
    assert set(left) == {"d0.example", "d1.example"}


def test_a_domain_that_kills_its_worker_each_time_is_put_off_for_a_day(api, twin):
    add(api)
    Domain.objects.update(crashes=MAX_CRASHES)
    make_due()
    calls = twin.calls()
    check_due()
    assert twin.calls() == calls
    assert due_in() > timedelta(hours=23)


def test_a_check_that_ends_late_does_not_put_a_removal_off(api, twin, monkeypatch):
    made = add(api).json()

    def removed_meanwhile(domain):
        twin.fails(DeleteEmailIdentity="ThrottlingException")
        assert api.delete(f"/domains/{made['id']}").status_code == 200
        return timedelta(days=1)

    monkeypatch.setattr("domains.verification.next_check", removed_meanwhile)
    make_due()
    check_due()
    assert due_in() <= timedelta(0)
