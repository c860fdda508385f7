"""Addresses that get no more mail: which reason stays, and what is told."""

from datetime import UTC, datetime, timedelta
from itertools import permutations
from uuid import UUID

import pytest
from django.db import IntegrityError, transaction

from accounts.services import create_workspace
from contacts.models import Contact, Suppression
from contacts.suppressions import (
    SuppressionRequest,
    find_suppressed,
    find_suppressed_in,
    record_unsubscribe,
    suppress,
    unsuppress,
)
from events.models import Event

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ORIGINS = ["unsubscribed", "soft_bounces", "bounce", "complaint", "manual"]


@pytest.fixture
def cause(workspace):
    def make(origin="bounce", email="bob@example.net", *, hours=0, number=0, workspace=workspace):
        return SuppressionRequest(
            workspace_id=workspace.pk,
            email=email,
            origin=origin,
            at=NOON + timedelta(hours=hours),
            email_id=UUID(int=number),
        )

    return make


def told(kind):
    return [event.data() for event in Event.objects.filter(type=kind).order_by("pk")]


def kept():
    return [(row.email, row.origin) for row in Suppression.objects.order_by("email")]


def test_a_suppression_is_told_with_its_cause(cause):
    suppress([cause(number=7)])

    row = Suppression.objects.get()
    assert (row.email, row.origin, row.created_at) == ("bob@example.net", "bounce", NOON)
    assert told("suppression.added") == [
        {
            "id": str(row.pk),
            "email": "bob@example.net",
            "origin": "bounce",
            "source_id": str(UUID(int=7)),
            "created_at": "2026-03-01T12:00:00.000Z",
        }
    ]


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("order", list(permutations(["unsubscribed", "bounce", "complaint"])))
def test_the_strongest_reason_stays_in_any_order(order, together, cause):
    causes = [cause(origin, hours=ORIGINS.index(origin)) for origin in order]
    for batch in [causes] if together else [[each] for each in causes]:
        suppress(batch)

    assert kept() == [("bob@example.net", "complaint")]
    assert Suppression.objects.get().created_at == NOON + timedelta(hours=3)
    assert len(told("suppression.added")) == 1


def test_each_reason_is_stronger_than_the_one_before(cause):
    for origin in ORIGINS:
        suppress([cause(origin)])
        assert kept() == [("bob@example.net", origin)]
    for origin in ORIGINS:
        suppress([cause(origin)])
    assert kept() == [("bob@example.net", "manual")]


@pytest.mark.parametrize("order", list(permutations([0, 1, 2])))
def test_of_equal_reasons_the_earliest_stays(order, cause):
    for hours in order:
        suppress([cause(hours=hours, number=hours)])

    row = Suppression.objects.get()
    assert (row.created_at, row.email_id) == (NOON, UUID(int=0))


def test_the_case_of_an_address_does_not_count(cause, workspace):
    suppress([cause(email="Bob@Example.NET"), cause("complaint", email="bob@example.net")])
    suppress([cause(email="BOB@example.net")])

    assert kept() == [("bob@example.net", "complaint")]
    assert find_suppressed_in(workspace, ["bob@example.net", "ann@example.net"]) == {
        "bob@example.net": "complaint"
    }


def test_the_simulator_is_never_suppressed(cause):
    suppress([cause(email="Bounce+x@Simulator.AmazonSES.com")])

    assert not kept()
    assert not told("suppression.added")


def test_workspaces_have_lists_of_their_own(cause, workspace):
    other = create_workspace(name="Bob's")
    suppress([cause(), cause("complaint", workspace=other)])

    assert find_suppressed_in(workspace, ["bob@example.net"]) == {"bob@example.net": "bounce"}
    assert find_suppressed_in(other, ["bob@example.net"]) == {"bob@example.net": "complaint"}


def test_people_of_several_workspaces_are_not_mistaken_for_each_other(cause, workspace):
    other = create_workspace(name="Bob's")
    suppress([cause(), cause(email="ann@example.net", workspace=other)])

    people = [(workspace.pk, "ann@example.net"), (other.pk, "bob@example.net")]
    assert find_suppressed(people) == {}
    assert find_suppressed([*people, (workspace.pk, "bob@example.net")]) == {
        (workspace.pk, "bob@example.net"): "bounce"
    }


def test_many_suppressions_are_one_statement(cause, django_assert_num_queries):
    with django_assert_num_queries(4):  # savepoint, rows, events, release
        suppress([cause(email=f"r{number}@example.net") for number in range(200)])
    assert len(kept()) == 200


def test_an_address_can_get_mail_again(cause):
    suppress([cause()])

    assert len(unsuppress(list(Suppression.objects.all()))) == 1

    assert not kept()
    assert [data["email"] for data in told("suppression.removed")] == ["bob@example.net"]


def test_a_suppression_that_is_gone_is_not_removed_twice(cause):
    suppress([cause()])
    rows = list(Suppression.objects.all())
    unsuppress(rows)

    assert unsuppress(rows) == []
    assert len(told("suppression.removed")) == 1


@pytest.mark.parametrize("fields", [{"email": "Bob@example.net"}, {"origin": "a whim"}])
def test_the_database_keeps_the_list_clean(fields, workspace):
    good = {"workspace": workspace, "email": "bob@example.net", "origin": "bounce"}

    with pytest.raises(IntegrityError), transaction.atomic():
        Suppression.objects.create(**good | fields)


def test_unsubscribing_makes_or_changes_the_contact_once(workspace):
    other = create_workspace(name="Bob's")
    Contact.objects.create(workspace=workspace, email="Ann@example.net", first_name="Ann")
    people = [(workspace.pk, "ANN@example.net"), (workspace.pk, "bob@example.net")]
    people += [(other.pk, "bob@example.net"), (workspace.pk, "Bob@example.net")]

    for _ in range(2):
        record_unsubscribe(people)

    rows = Contact.objects.order_by("email", "pk").values_list("email", "unsubscribed")
    assert sorted(rows) == [
        ("Ann@example.net", True),
        ("bob@example.net", True),
        ("bob@example.net", True),
    ]
    (changed,) = told("contact.updated")
    assert changed["changed_fields"] == ["unsubscribed"]
    assert (changed["email"], changed["first_name"]) == ("Ann@example.net", "Ann")
    assert changed["unsubscribed"] is True
    assert [data["email"] for data in told("contact.created")] == ["bob@example.net"] * 2


def test_nobody_unsubscribing_asks_the_database_nothing(django_assert_num_queries):
    with django_assert_num_queries(0):
        record_unsubscribe([])
        suppress([])
