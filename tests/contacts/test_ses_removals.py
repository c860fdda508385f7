"""Removing a suppression takes the address off SES's own suppression list, too."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.services import create_workspace
from contacts import queues, ses_removals
from contacts.hooks import ALERTS
from contacts.models import SesRemoval, Suppression
from contacts.suppressions import unsuppress
from contacts.tasks import purge_ses_removals
from core.queue.worker_loop import run_pass
from domains.models import Domain
from tests.database import another_connection, concurrently, wait_for_blocked_session

pytestmark = pytest.mark.django_db
DELETE = "DeleteSuppressedDestination"


def add(api, *emails, reason="bounce"):
    answer = api.post("/suppressions/batch/add", {"emails": emails, "reason": reason})
    assert answer.status_code == 200, answer.content


def remove(api, email):
    answer = api.delete(f"/suppressions/{email}")
    assert answer.status_code == 200, answer.content
    return answer.json()["ses_list"]


def work():
    return run_pass(queues.REMOVE_FROM_SES, seconds=2)[:3]


def make_due():
    past = timezone.now() - timedelta(days=1)  # now() is constant in a transaction
    SesRemoval.objects.filter(next_attempt_at__isnull=False).update(next_attempt_at=past)


@pytest.mark.parametrize("reason", ["bounce", "complaint", "manual"])
def test_a_removed_suppression_is_removed_at_ses(api, ses_list, reason):
    ses_list.put("bob+x@example.net", "ann@example.net")
    add(api, "bob+x@example.net", reason=reason)
    assert remove(api, "Bob+x@Example.net") == "removing"
    assert work() == (1, 1, 0)
    assert ses_list.get() == ["ann@example.net"]
    assert SesRemoval.objects.get().removed_at
    assert work() == (0, 0, 0)


@pytest.mark.parametrize("reason", ["unsubscribed", "soft_bounces"])
def test_other_origins_say_nothing_about_ses(api, twin, reason):
    add(api, "bob@example.net", reason=reason)
    assert remove(api, "bob@example.net") is None
    assert not SesRemoval.objects.exists()


def test_an_address_that_ses_does_not_have_is_fine(api, twin):
    add(api, "bob@example.net")
    remove(api, "bob@example.net")
    assert work() == (1, 1, 0)


def test_a_batch_is_removed_with_constant_statements(api, ses_list, django_assert_num_queries):
    emails = [f"r{number}@example.net" for number in range(30)]
    ses_list.put(*emails)
    add(api, *emails)
    rows = list(Suppression.objects.all())
    # savepoint, lock, delete, regions, removals, events, contacts, release
    with django_assert_num_queries(8):
        unsuppress(rows)
    assert work() == (30, 30, 0)
    assert ses_list.get() == []


def test_the_answer_of_a_batch_says_what_ses_still_holds(api, twin):
    add(api, "a@example.net")
    add(api, "b@example.net", reason="unsubscribed")
    answer = api.post(
        "/suppressions/batch/remove", {"emails": ["a@example.net", "b@example.net"]}
    ).json()
    assert sorted(str(row["ses_list"]) for row in answer["data"]) == ["None", "removing"]


def test_every_region_that_sends_is_asked(api, workspace, ses_list, settings):
    Domain.objects.create(workspace=workspace, name="a.example", region="eu-west-1")
    Domain.objects.create(
        workspace=workspace, name="b.example", region="eu-north-1", provider="smtp"
    )
    for region in ("us-east-1", "eu-west-1", "eu-north-1"):
        ses_list.put("bob@example.net", region=region)
    add(api, "bob@example.net")
    remove(api, "bob@example.net")
    assert work() == (2, 2, 0)
    assert (ses_list.get(), ses_list.get("eu-west-1")) == ([], [])
    assert ses_list.get("eu-north-1") == ["bob@example.net"]


def test_an_installation_without_ses_asks_nobody(api, workspace, twin, settings):
    settings.EMAIL_PROVIDER = "smtp"
    add(api, "bob@example.net")
    assert remove(api, "bob@example.net") is None
    assert not SesRemoval.objects.exists()

    Domain.objects.create(workspace=workspace, name="a.example", region="eu-west-1", provider="ses")
    add(api, "bob@example.net")
    assert remove(api, "bob@example.net") == "removing"
    assert SesRemoval.objects.get().region == "eu-west-1"


@pytest.mark.parametrize("code", ["AccessDeniedException", "InternalFailure"])
def test_a_failure_is_shown_and_tried_again(api, stranger, ses_list, twin, code):
    ses_list.put("bob@example.net")
    add(api, "bob@example.net")
    remove(api, "bob@example.net")
    twin.fail(**{DELETE: code})
    assert work() == (1, 0, 1)
    assert SesRemoval.objects.get().attempts == 1
    assert code in api.get("/suppressions/bob@example.net").json()["message"]
    assert code in api.delete("/suppressions/bob@example.net").json()["message"]
    assert "SES" not in stranger.get("/suppressions/bob@example.net").json()["message"]
    assert work() == (0, 0, 0)

    twin.heal()
    make_due()
    assert work() == (1, 1, 0)
    assert ses_list.get() == []
    assert SesRemoval.objects.get().last_error == ""
    assert "SES" not in api.get("/suppressions/bob@example.net").json()["message"]


def test_while_ses_is_unavailable_one_call_is_made_for_all(api, twin):
    emails = [f"r{number}@example.net" for number in range(30)]
    add(api, *emails)
    unsuppress(list(Suppression.objects.all()))
    twin.fail(**{DELETE: "ServiceUnavailable"})
    assert work() == (10, 0, 10)
    assert twin.operations().count(DELETE) == 1
    assert not SesRemoval.objects.due().exists()
    soon = timezone.now() + timedelta(minutes=2)
    assert not SesRemoval.objects.filter(next_attempt_at__gt=soon).exists()


def test_another_region_goes_on_while_one_is_unavailable(api, workspace, ses_list, monkeypatch):
    Domain.objects.create(workspace=workspace, name="a.example", region="eu-west-1")
    ses_list.put("bob@example.net")
    add(api, "bob@example.net")
    remove(api, "bob@example.net")
    called = ses_removals.ses_list.delete

    def delete(region, email):
        if region == "eu-west-1":
            raise ses_removals.ses_list.ListUnavailable("no route")
        called(region, email)

    monkeypatch.setattr(ses_removals.ses_list, "delete", delete)
    assert work() == (2, 1, 1)
    assert ses_list.get() == []


@pytest.mark.parametrize("code", ["TooManyRequestsException", "ThrottlingException"])
def test_throttling_only_waits(api, twin, code):
    add(api, "a@example.net", "b@example.net")
    unsuppress(list(Suppression.objects.all()))
    twin.fail(**{DELETE: code})
    assert work() == (2, 0, 2)
    soon = timezone.now() + timedelta(seconds=6)
    assert SesRemoval.objects.filter(next_attempt_at__lt=soon, last_error="").count() == 2
    twin.heal()
    make_due()
    assert work() == (2, 2, 0)


def test_an_address_that_ses_refuses_is_given_up_visibly(api, twin):
    add(api, "bob@example.net")
    remove(api, "bob@example.net")
    twin.fail(**{DELETE: "BadRequestException"})
    assert work() == (1, 0, 1)
    removal = SesRemoval.objects.failing().get()
    assert (removal.next_attempt_at, removal.removed_at) == (None, None)
    assert "BadRequest" in api.get("/suppressions/bob@example.net").json()["message"]
    add(api, "bob@example.net")
    assert remove(api, "bob@example.net") == "removing"  # a new request tries again
    twin.heal()
    assert work() == (1, 1, 0)


def test_a_removal_that_kills_workers_is_given_up(api, twin):
    add(api, "bob@example.net")
    remove(api, "bob@example.net")
    SesRemoval.objects.update(crashes=5)
    assert work() == (1, 0, 1)
    assert SesRemoval.objects.failing().get().next_attempt_at is None
    assert DELETE not in twin.operations()


def test_an_address_that_is_suppressed_again_stays_at_ses(api, ses_list, twin):
    ses_list.put("bob@example.net")
    add(api, "bob@example.net")
    remove(api, "bob@example.net")
    add(api, "bob@example.net", reason="complaint")
    assert work() == (1, 1, 0)
    assert DELETE not in twin.operations()
    assert not SesRemoval.objects.exists()


def test_another_workspace_may_still_suppress_it(api, stranger, ses_list):
    ses_list.put("bob@example.net")
    for each in (api, stranger):
        add(each, "bob@example.net")
    remove(api, "bob@example.net")
    assert work() == (1, 1, 0)
    assert ses_list.get() == []
    assert stranger.get("/suppressions/bob@example.net").status_code == 200


def test_a_request_during_the_call_is_worked_off_again(api, twin, monkeypatch):
    add(api, "bob@example.net")
    remove(api, "bob@example.net")

    def delete(region, email):
        add(api, email)
        remove(api, email)

    monkeypatch.setattr(ses_removals.ses_list, "delete", delete)
    ses_removals.process_due()
    assert SesRemoval.objects.due().get().removed_at is None


@pytest.mark.django_db(transaction=True)
def test_a_worker_locks_removals_in_the_order_of_requests(workspace, monkeypatch):
    """While it waits for the first row it holds none, so that it never deadlocks with a request."""
    monkeypatch.setattr(ses_removals.ses_list, "delete", lambda region, email: None)
    due = timezone.now() - timedelta(minutes=1)
    for number in range(ses_removals.BATCH):  # claimed in the opposite order of their addresses
        SesRemoval.objects.create(
            workspace=workspace,
            email=f"r{number}@example.net",
            region="us-east-1",
            next_attempt_at=due - timedelta(seconds=number),
        )
    lock = "SELECT FROM ses_removals WHERE email {} 'r0@example.net' FOR UPDATE {}"
    with another_connection() as request:
        claim = SesRemoval.objects.claim

        def claim_before_the_request(**options):
            claimed = claim(**options)
            request.execute(lock.format("=", ""))
            return claimed

        monkeypatch.setattr(SesRemoval.objects, "claim", claim_before_the_request)
        with concurrently(ses_removals.process_due):
            wait_for_blocked_session()
            request.execute(lock.format("<>", "NOWAIT"))
            request.commit()
    assert not SesRemoval.objects.open().exists()


def test_finished_removals_are_purged_after_a_day(workspace):
    now = timezone.now()
    for hours in (None, 23, 25):
        SesRemoval.objects.create(
            workspace=workspace,
            email=f"{hours}@example.net",
            region="us-east-1",
            removed_at=hours and now - timedelta(hours=hours),
        )
    assert purge_ses_removals() == 1
    assert set(SesRemoval.objects.values_list("email", flat=True)) == {
        "None@example.net",
        "23@example.net",
    }


def test_find_removals_counts_the_last_region(workspace):
    other = create_workspace(name="Other")
    early, late = timezone.now() - timedelta(hours=1), timezone.now()
    rows = [
        ("a@x.org", "eu-west-1", early, workspace),
        ("a@x.org", "us-east-1", late, workspace),
        ("b@x.org", "eu-west-1", None, workspace),
        ("b@x.org", "us-east-1", late, workspace),
        ("a@x.org", "us-east-1", None, other),
    ]
    for email, region, removed_at, owner in rows:
        SesRemoval.objects.create(
            workspace=owner, email=email, region=region, removed_at=removed_at
        )
    keys = [(workspace.pk, f"{name}@x.org") for name in "abc"]
    assert ses_removals.find_removals(keys) == {keys[0]: late, keys[1]: None}


def test_addresses_that_ses_keeps_are_an_alert(api, twin):
    (alert,) = ALERTS
    add(api, "bob@example.net", "ann@example.net")
    remove(api, "bob@example.net")
    remove(api, "ann@example.net")
    assert alert().count == 0
    SesRemoval.objects.filter(email="bob@example.net").update(last_error="AccessDenied")
    assert alert().count == 1
