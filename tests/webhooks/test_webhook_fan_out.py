"""Who is owed what when something happens."""

import pytest
from django.db import transaction

from accounts.services import create_workspace
from events.models import Event
from webhooks.fanout import fan_out, subscription_of
from webhooks.models import Delivery
from webhooks.services import update_endpoint

pytestmark = pytest.mark.django_db(transaction=True)

URL = "https://hooks.example.com/"


def owed():
    pairs = Delivery.objects.values_list("endpoint__url", "event__type")
    return sorted((url.removeprefix(URL), kind) for url, kind in pairs)


def test_an_event_is_owed_to_each_endpoint_that_asks_for_its_type(endpoint_at, happen):
    endpoint_at(URL + "1", ["contact.created"])
    endpoint_at(URL + "2", ["contact.created", "contact.deleted"])
    endpoint_at(URL + "3", ["contact.deleted"])
    happen("contact.created")
    assert owed() == [("1", "contact.created"), ("2", "contact.created")]


def test_groups_take_in_their_types_and_no_others(endpoint_at, happen):
    endpoint_at(URL + "all", ["*"])
    endpoint_at(URL + "email", ["email.*"])
    happen("email.sent", "contact.created")
    assert owed() == [
        ("all", "contact.created"),
        ("all", "email.sent"),
        ("email", "email.sent"),
    ]


def test_an_endpoint_that_asks_twice_is_owed_once(endpoint_at, happen):
    endpoint_at(URL, ["*", "email.*", "email.sent", "email.sent"])
    happen("email.sent")
    assert len(owed()) == 1


def test_an_event_is_owed_once_however_often_it_is_heard(endpoint_at, happen):
    endpoint_at(URL)
    [event] = happen()
    for _ in range(2):
        with transaction.atomic():
            fan_out([event, event])
    Event.objects.update(next_attempt_at="2020-01-01T00:00Z")
    happen()
    assert Delivery.objects.filter(event=event).count() == 1


def test_hearing_an_event_again_does_not_deliver_it_again(endpoint_at, happen):
    endpoint_at(URL)
    [event] = happen()
    Delivery.objects.update(status="success", next_attempt_at=None)
    with transaction.atomic():
        fan_out([event])
    assert Delivery.objects.get().status == "success"


def test_a_disabled_endpoint_is_owed_nothing(endpoint_at, happen):
    update_endpoint(endpoint_at(URL + "off"), {"status": "disabled"})
    endpoint_at(URL + "on")
    happen()
    assert owed() == [("on", "contact.created")]


def test_other_workspaces_hear_nothing(endpoint_at, happen):
    endpoint_at(URL + "bob", of=create_workspace(name="Bob's"))
    endpoint_at(URL + "alice")
    happen()
    assert owed() == [("alice", "contact.created")]


def test_each_of_a_batch_goes_to_its_own_workspace(endpoint_at, happen, workspace):
    bob = create_workspace(name="Bob's")
    endpoint_at(URL + "alice")
    endpoint_at(URL + "bob", of=bob)
    [first] = happen("contact.created")
    [second] = happen("contact.deleted", of=bob)
    Delivery.objects.all().delete()
    with transaction.atomic():
        fan_out([first, second])
    assert owed() == [("alice", "contact.created"), ("bob", "contact.deleted")]


@pytest.mark.parametrize(("events", "endpoints"), [(1, 1), (30, 10)])
def test_fanning_out_costs_two_statements(
    endpoint_at, happen, events, endpoints, django_assert_num_queries
):
    heard = happen(count=events)
    for _ in range(endpoints):
        endpoint_at(URL)
    with transaction.atomic(), django_assert_num_queries(2):
        fan_out(heard)
    assert Delivery.objects.due().count() == events * endpoints


def test_an_endpoint_that_is_deleted_meanwhile_costs_the_others_nothing(
    endpoint_at, happen, monkeypatch
):
    gone, stays = endpoint_at(URL + "gone"), endpoint_at(URL + "stays")
    both = [subscription_of(gone), subscription_of(stays)]
    seen = iter([both])
    monkeypatch.setattr(
        "webhooks.fanout._subscriptions",
        lambda workspaces: {stays.workspace_id: next(seen, both[1:])},
    )
    gone.delete()
    happen(count=2)
    assert owed() == [("stays", "contact.created")] * 2
