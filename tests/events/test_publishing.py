"""Publishing: an event and its change commit together or not at all."""

import re
from uuid import UUID

import orjson
import pytest
from django.db import transaction

from core.context import request_id
from core.times import iso
from events.models import Event
from events.services import Fact, publish
from tests.events.event_samples import Recorder, fact, numbered


@pytest.mark.django_db(transaction=True)
def test_publishing_outside_a_transaction_raises(workspace):
    with pytest.raises(RuntimeError, match="transaction"):
        publish([fact(workspace)])
    assert not Event.objects.exists()


def test_events_are_rolled_back_with_the_change(workspace):
    with transaction.atomic():
        publish([fact(workspace)])
        transaction.set_rollback(True)
    assert not Event.objects.exists()


def test_an_unknown_event_type_raises(workspace):
    with transaction.atomic(), pytest.raises(KeyError):
        publish([Fact("contact.exploded", workspace.pk, {})])


def test_the_envelope_has_id_type_time_and_data(workspace):
    with transaction.atomic():
        [event] = publish([fact(workspace, first_name="Åsa 🎈")])
    envelope = orjson.loads(event.body)
    assert list(envelope) == ["id", "type", "created_at", "data"]
    assert envelope["id"] == f"whd_{event.pk}"
    assert UUID(envelope["id"].removeprefix("whd_")).version == 7
    assert envelope["type"] == "contact.created"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", envelope["created_at"])
    assert envelope["data"] == event.data() == fact(workspace, first_name="Åsa 🎈").data


def test_mailbox_events_have_a_flat_payload(workspace):
    given = fact(workspace, "inbox.suspended", reason="abuse")
    with transaction.atomic():
        [event] = publish([given])
    envelope = orjson.loads(event.body)
    assert list(envelope) == [*("event", "event_id", "occurred_at"), *given.data]
    assert (envelope["event"], envelope["event_id"]) == ("inbox.suspended", f"whd_{event.pk}")
    assert envelope["occurred_at"] == iso(event.created_at)
    assert event.data() == given.data


def test_the_stored_body_is_byte_identical(workspace):
    with transaction.atomic():
        [event] = publish([fact(workspace, last_name='\x00 \u2028 " \\ é 🎈 </script>')])
    assert Event.objects.get().body == event.body


def test_an_event_stores_the_request_that_caused_it(workspace):
    token = request_id.set("req-1")
    try:
        with transaction.atomic():
            publish([fact(workspace)])
    finally:
        request_id.reset(token)
    assert Event.objects.get().request_id == "req-1"


def test_many_facts_need_one_statement(workspace, subscribe, django_assert_num_queries):
    subscribe(Recorder("any").subscriber)
    with transaction.atomic(), django_assert_num_queries(1):
        publish([numbered(workspace, n) for n in range(50)])
    assert Event.objects.due().count() == 50


def test_publishing_nothing_runs_no_query(workspace, django_assert_num_queries):
    with transaction.atomic(), django_assert_num_queries(0):
        assert publish([]) == []
