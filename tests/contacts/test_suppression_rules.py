"""Suppressing and unsuppressing addresses: which origin wins, and the events published."""

from datetime import UTC, datetime, timedelta
from itertools import permutations
from uuid import UUID

import pytest
from django.db import IntegrityError, transaction

from accounts.services import create_workspace
from contacts.models import Contact, Suppression
from contacts.suppressions import (
    SuppressionRequest,
    find_suppressed_addresses,
    find_suppressed_recipients,
    record_unsubscribe,
    suppress,
    unsuppress,
)
from tests.database import published_data

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ORIGINS = ["soft_bounces", "unsubscribed", "bounce", "complaint", "manual"]


@pytest.fixture
def request_for(workspace):
    def build(origin="bounce", email="bob@example.net", *, hours=0, number=0, workspace=workspace):
        return SuppressionRequest(
            workspace_id=workspace.pk,
            email=email,
            origin=origin,
            at=NOON + timedelta(hours=hours),
            email_id=UUID(int=number),
        )

    return build


def suppressed():
    return [(row.email, row.origin) for row in Suppression.objects.order_by("email")]


def test_suppressing_publishes_an_event_with_the_cause(request_for):
    suppress([request_for(number=7)])

    row = Suppression.objects.get()
    assert (row.email, row.origin, row.created_at) == ("bob@example.net", "bounce", NOON)
    assert published_data("suppression.added") == [
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
def test_the_strongest_origin_wins_in_any_order(order, together, request_for):
    requests = [request_for(origin, hours=ORIGINS.index(origin)) for origin in order]
    for batch in [requests] if together else [[each] for each in requests]:
        suppress(batch)

    assert suppressed() == [("bob@example.net", "complaint")]
    assert Suppression.objects.get().created_at == NOON + timedelta(hours=3)
    assert len(published_data("suppression.added")) == 1


def test_each_origin_is_stronger_than_the_previous_one(request_for):
    for origin in ORIGINS:
        suppress([request_for(origin)])
        assert suppressed() == [("bob@example.net", origin)]
    for origin in ORIGINS:
        suppress([request_for(origin)])
    assert suppressed() == [("bob@example.net", "manual")]


@pytest.mark.parametrize("order", list(permutations([0, 1, 2])))
def test_the_earliest_of_equal_origins_wins(order, request_for):
    for hours in order:
        suppress([request_for(hours=hours, number=hours)])

    row = Suppression.objects.get()
    assert (row.created_at, row.email_id) == (NOON, UUID(int=0))


def test_addresses_are_compared_without_case(request_for, workspace):
    suppress(
        [request_for(email="Bob@Example.NET"), request_for("complaint", email="bob@example.net")]
    )
    suppress([request_for(email="BOB@example.net")])

    assert suppressed() == [("bob@example.net", "complaint")]
    assert find_suppressed_addresses(workspace, ["bob@example.net", "ann@example.net"]) == {
        "bob@example.net": "complaint"
    }


def test_the_mailbox_simulator_is_never_suppressed(request_for):
    suppress([request_for(email="Bounce+x@Simulator.AmazonSES.com")])

    assert not suppressed()
    assert not published_data("suppression.added")


def test_suppressions_belong_to_one_workspace(request_for, workspace):
    other = create_workspace(name="Bob's")
    suppress([request_for(), request_for("complaint", workspace=other)])

    assert find_suppressed_addresses(workspace, ["bob@example.net"]) == {
        "bob@example.net": "bounce"
    }
    assert find_suppressed_addresses(other, ["bob@example.net"]) == {"bob@example.net": "complaint"}


def test_addresses_of_several_workspaces_are_looked_up_separately(request_for, workspace):
    other = create_workspace(name="Bob's")
    suppress([request_for(), request_for(email="ann@example.net", workspace=other)])

    addresses = [(workspace.pk, "ann@example.net"), (other.pk, "bob@example.net")]
    assert find_suppressed_recipients(addresses) == {}
    assert find_suppressed_recipients([*addresses, (workspace.pk, "bob@example.net")]) == {
        (workspace.pk, "bob@example.net"): "bounce"
    }


def test_many_suppressions_take_one_statement(request_for, django_assert_num_queries):
    with django_assert_num_queries(4):  # savepoint, rows, events, release
        suppress([request_for(email=f"r{number}@example.net") for number in range(200)])
    assert len(suppressed()) == 200


def test_a_suppression_can_be_removed(request_for):
    suppress([request_for()])

    assert len(unsuppress(list(Suppression.objects.all()))) == 1

    assert not suppressed()
    assert [data["email"] for data in published_data("suppression.removed")] == ["bob@example.net"]


def test_a_suppression_is_removed_only_once(request_for):
    suppress([request_for()])
    rows = list(Suppression.objects.all())
    unsuppress(rows)

    assert unsuppress(rows) == []
    assert len(published_data("suppression.removed")) == 1


@pytest.mark.parametrize("fields", [{"email": "Bob@example.net"}, {"origin": "unknown"}])
def test_constraints_reject_invalid_rows(fields, workspace):
    valid = {"workspace": workspace, "email": "bob@example.net", "origin": "bounce"}

    with pytest.raises(IntegrityError), transaction.atomic():
        Suppression.objects.create(**valid | fields)


def test_recording_an_unsubscribe_creates_or_updates_the_contact_once(workspace):
    other = create_workspace(name="Bob's")
    Contact.objects.create(workspace=workspace, email="Ann@example.net", first_name="Ann")
    addresses = [(workspace.pk, "ANN@example.net"), (workspace.pk, "bob@example.net")]
    addresses += [(other.pk, "bob@example.net"), (workspace.pk, "Bob@example.net")]

    for _ in range(2):
        record_unsubscribe(addresses)

    rows = Contact.objects.order_by("email", "pk").values_list("email", "unsubscribed")
    assert sorted(rows) == [
        ("Ann@example.net", True),
        ("bob@example.net", True),
        ("bob@example.net", True),
    ]
    (changed,) = published_data("contact.updated")
    assert changed["changed_fields"] == ["unsubscribed"]
    assert (changed["email"], changed["first_name"]) == ("Ann@example.net", "Ann")
    assert changed["unsubscribed"] is True
    assert [data["email"] for data in published_data("contact.created")] == ["bob@example.net"] * 2


def test_empty_input_runs_no_query(django_assert_num_queries):
    with django_assert_num_queries(0):
        record_unsubscribe([])
        suppress([])
