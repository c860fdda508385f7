"""Which endpoints get a delivery of an event."""

import pytest
from django.db import transaction

from accounts.services import create_workspace
from events.models import Event
from webhooks.fanout import fan_out, subscription_of
from webhooks.models import Delivery
from webhooks.services import update_endpoint

pytestmark = pytest.mark.django_db(transaction=True)

URL = "https://hooks.example.com/"


def created_deliveries():
    pairs = Delivery.objects.values_list("endpoint__url", "event__type")
    return sorted((url.removeprefix(URL), kind) for url, kind in pairs)


def test_each_endpoint_subscribed_to_the_type_gets_a_delivery(endpoint_at, publish_events):
    endpoint_at(URL + "1", ["contact.created"])
    endpoint_at(URL + "2", ["contact.created", "contact.deleted"])
    endpoint_at(URL + "3", ["contact.deleted"])
    publish_events("contact.created")
    assert created_deliveries() == [("1", "contact.created"), ("2", "contact.created")]


def test_groups_match_their_own_types_only(endpoint_at, publish_events):
    endpoint_at(URL + "all", ["*"])
    endpoint_at(URL + "email", ["email.*"])
    publish_events("email.sent", "contact.created")
    assert created_deliveries() == [
        ("all", "contact.created"),
        ("all", "email.sent"),
        ("email", "email.sent"),
    ]


def test_overlapping_subscriptions_create_one_delivery(endpoint_at, publish_events):
    endpoint_at(URL, ["*", "email.*", "email.sent", "email.sent"])
    publish_events("email.sent")
    assert len(created_deliveries()) == 1


def test_fanning_out_an_event_repeatedly_creates_one_delivery(endpoint_at, publish_events):
    endpoint_at(URL)
    [event] = publish_events()
    for _ in range(2):
        with transaction.atomic():
            fan_out([event, event])
    Event.objects.update(next_attempt_at="2020-01-01T00:00Z")
    publish_events()
    assert Delivery.objects.filter(event=event).count() == 1


def test_fanning_out_an_event_again_does_not_reset_its_delivery(endpoint_at, publish_events):
    endpoint_at(URL)
    [event] = publish_events()
    Delivery.objects.update(status="success", next_attempt_at=None)
    with transaction.atomic():
        fan_out([event])
    assert Delivery.objects.get().status == "success"


def test_a_disabled_endpoint_gets_no_delivery(endpoint_at, publish_events):
    update_endpoint(endpoint_at(URL + "off"), {"status": "disabled"})
    endpoint_at(URL + "on")
    publish_events()
    assert created_deliveries() == [("on", "contact.created")]


def test_other_workspaces_get_no_delivery(endpoint_at, publish_events):
    endpoint_at(URL + "bob", of=create_workspace(name="Bob's"))
    endpoint_at(URL + "alice")
    publish_events()
    assert created_deliveries() == [("alice", "contact.created")]


def test_each_event_of_a_batch_goes_to_its_own_workspace(endpoint_at, publish_events, workspace):
    bob = create_workspace(name="Bob's")
    endpoint_at(URL + "alice")
    endpoint_at(URL + "bob", of=bob)
    [first] = publish_events("contact.created")
    [second] = publish_events("contact.deleted", of=bob)
    Delivery.objects.all().delete()
    with transaction.atomic():
        fan_out([first, second])
    assert created_deliveries() == [("alice", "contact.created"), ("bob", "contact.deleted")]


@pytest.mark.parametrize(("events", "endpoints"), [(1, 1), (30, 10)])
def test_fanning_out_takes_two_statements(
    endpoint_at, publish_events, events, endpoints, django_assert_num_queries
):
    published = publish_events(count=events)
    for _ in range(endpoints):
        endpoint_at(URL)
    with transaction.atomic(), django_assert_num_queries(2):
        fan_out(published)
    assert Delivery.objects.due().count() == events * endpoints


def test_a_concurrently_deleted_endpoint_does_not_affect_the_others(
    endpoint_at, publish_events, monkeypatch
):
    gone, stays = endpoint_at(URL + "gone"), endpoint_at(URL + "stays")
    both = [subscription_of(gone), subscription_of(stays)]
    seen = iter([both])
    monkeypatch.setattr(
        "webhooks.fanout._subscriptions",
        lambda workspaces: {stays.workspace_id: next(seen, both[1:])},
    )
    gone.delete()
    publish_events(count=2)
    assert created_deliveries() == [("stays", "contact.created")] * 2
