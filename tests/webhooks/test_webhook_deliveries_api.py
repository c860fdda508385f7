"""What an endpoint was sent, as its owner sees it."""

from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from receiving_end import response

from core.db.ids import uuid7
from webhooks.dispatch.loop import deliver_due
from webhooks.models import Delivery

pytestmark = pytest.mark.django_db(transaction=True)


def bare(event_id):
    return event_id.removeprefix("whd_")


@pytest.fixture
def endpoint(endpoint_at, sink):
    return endpoint_at(sink.url())


@pytest.fixture
def listed(api, endpoint):
    def ask(**query):
        answer = api.get(f"/webhooks/{endpoint.pk}/events", query)
        assert answer.status_code == 200, answer.json()
        assert answer.json()["object"] == "list"
        return answer.json()["data"], answer.json()["has_more"]

    return ask


def test_events_are_listed_newest_first_with_what_became_of_them(
    api, endpoint, happen, listed, sink
):
    [first] = happen("contact.created")
    deliver_due()
    sink.answers["/hook"] = response(500, b"no")
    [second] = happen("contact.deleted")
    deliver_due()
    [third] = happen("contact.updated")
    (newest, failed, delivered), more = listed()
    assert not more
    assert newest == {
        "object": "webhook_event",
        "id": f"whd_{third.pk}",
        "type": "contact.updated",
        "status": "pending",
        "attempts": 0,
        "last_status_code": None,
        "last_error": None,
        "next_attempt_at": newest["next_attempt_at"],
        "created_at": third.created_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }
    assert newest["next_attempt_at"].endswith("Z")
    assert failed["id"] == f"whd_{second.pk}"
    assert (failed["status"], failed["attempts"]) == ("pending", 1)
    assert (failed["last_status_code"], failed["last_error"]) == (500, "http_500")
    assert delivered["id"] == f"whd_{first.pk}"
    assert (delivered["status"], delivered["attempts"]) == ("success", 1)
    assert (delivered["last_status_code"], delivered["last_error"]) == (200, None)
    assert delivered["next_attempt_at"] is None


def test_the_list_is_paged_by_the_ids_it_shows(endpoint, happen, listed):
    ids = [f"whd_{event.pk}" for event in reversed(happen(count=5))]
    # In another order than their events: the deliveries' own ids must not matter.
    for event_id in ids:
        Delivery.objects.filter(event=bare(event_id)).update(id=uuid7())
    data, more = listed(limit=2)
    assert ([each["id"] for each in data], more) == (ids[:2], True)
    data, more = listed(limit=2, after=ids[1])
    assert ([each["id"] for each in data], more) == (ids[2:4], True)
    data, more = listed(limit=2, after=bare(ids[3]))
    assert ([each["id"] for each in data], more) == (ids[4:], False)
    data, more = listed(limit=2, before=ids[3])
    assert ([each["id"] for each in data], more) == (ids[1:3], True)


@pytest.mark.parametrize("cursor", ["whd_", "whd_x", "whd_whd_" + str(UUID(int=1)), "evt_1"])
def test_a_cursor_that_is_no_event_is_refused_by_name(api, endpoint, cursor):
    answer = api.get(f"/webhooks/{endpoint.pk}/events", {"after": cursor})
    assert answer.status_code == 422
    assert set(answer.json()["details"]["fields"]) == {"after"}


@pytest.mark.parametrize("status", ["pending", "attempting", "failed"])
def test_events_of_one_state_can_be_asked_for(endpoint, happen, listed, status):
    events = happen(count=8)
    states = [
        ("pending", "http_500", True),
        ("attempting", "", True),
        ("failed", "timeout", False),
        ("success", "", False),
    ]
    for event, (state, error, is_open) in zip(events, states * 2, strict=True):
        changes = {} if is_open else {"next_attempt_at": None}
        Delivery.objects.filter(event=event).update(status=state, last_error=error, **changes)
    data, _ = listed(status=status)
    place = [state for state, _, _ in states].index(status)
    assert [each["id"] for each in data] == [
        f"whd_{events[place + 4].pk}",
        f"whd_{events[place].pk}",
    ]
    assert {each["status"] for each in data} == {status}
    newest = f"whd_{events[place + 4].pk}"
    older, more = listed(status=status, after=newest, limit=1)
    assert ([each["id"] for each in older], more) == ([f"whd_{events[place].pk}"], False)
    newer, more = listed(status=status, before=f"whd_{events[place].pk}", limit=1)
    assert ([each["id"] for each in newer], more) == ([newest], False)


@pytest.mark.parametrize("status", ["success", "lost", ""])
def test_states_that_cannot_be_asked_for_are_refused_by_name(api, endpoint, status):
    answer = api.get(f"/webhooks/{endpoint.pk}/events", {"status": status})
    assert answer.status_code == 422
    assert answer.json()["details"]["fields"] == {
        "status": "must be one of pending, attempting, failed"
    }


@pytest.mark.parametrize("spelt", ["whd_{}", "{}"])
def test_one_event_comes_with_its_payload(api, endpoint, happen, spelt):
    [event] = happen()
    answer = api.get(f"/webhooks/{endpoint.pk}/events/{spelt.format(event.pk)}")
    assert answer.status_code == 200
    body = answer.json()
    assert (body["id"], body["status"]) == (f"whd_{event.pk}", "pending")
    assert body["payload"]["id"] == f"whd_{event.pk}"
    assert body["payload"]["data"] == event.data()


def test_attempts_are_listed_newest_first(api, endpoint, happen, sink, make_due):
    sink.answers["/hook"] = response(503, b"try later")
    [event] = happen()
    deliver_due()
    sink.answers["/hook"] = None
    make_due()
    deliver_due()
    answer = api.get(f"/webhooks/{endpoint.pk}/events/whd_{event.pk}/attempts")
    assert answer.status_code == 200
    second, first = answer.json()["data"]
    assert first.pop("sent_at") < second.pop("sent_at")
    assert first.pop("id") < second.pop("id")
    assert isinstance(first.pop("duration_ms"), int)
    assert first == {
        "object": "webhook_attempt",
        "number": 1,
        "http_status_code": 503,
        "error": "http_503",
        "message": "",
        "response": "try later",
        "address": "127.0.0.1",
    }
    assert (second["number"], second["http_status_code"]) == (2, None)
    assert second["error"] == "connection_error"
    assert second["message"]


def test_attempts_come_in_pages(api, endpoint, happen, sink, make_due):
    sink.answers["/hook"] = response(500)
    [event] = happen()
    for _ in range(3):
        deliver_due()
        make_due()
    url = f"/webhooks/{endpoint.pk}/events/{event.pk}/attempts"
    first = api.get(url, {"limit": 2}).json()
    assert ([each["number"] for each in first["data"]], first["has_more"]) == ([3, 2], True)
    rest = api.get(url, {"limit": 2, "after": first["data"][-1]["id"]}).json()
    assert ([each["number"] for each in rest["data"]], rest["has_more"]) == ([1], False)


ABOUT_ONE = ["events/{}", "events/{}/attempts"]


@pytest.mark.parametrize("path", ABOUT_ONE)
@pytest.mark.parametrize("given", ["nonsense", "whd_", "whd_nonsense", str(uuid4()), "%00"])
def test_events_that_are_none_are_404(api, endpoint, path, given):
    answer = api.get(f"/webhooks/{endpoint.pk}/{path.format(given)}")
    assert (answer.status_code, answer.json()["name"]) == (404, "not_found")


@pytest.mark.parametrize("path", ABOUT_ONE)
def test_events_of_another_endpoint_are_404(api, endpoint, endpoint_at, happen, path):
    [event] = happen()
    other = endpoint_at("https://hooks.example.com/other")
    answer = api.get(f"/webhooks/{other.pk}/{path.format(event.pk)}")
    assert answer.status_code == 404


@pytest.mark.parametrize("path", ["events", *ABOUT_ONE])
def test_nothing_of_it_exists_for_strangers(stranger, api, endpoint, happen, path):
    [event] = happen()
    url = f"/webhooks/{endpoint.pk}/{path.format(event.pk)}"
    assert api.get(url).status_code == 200
    answer = stranger.get(url)
    assert (answer.status_code, answer.json()["name"]) == (404, "not_found")


@pytest.mark.parametrize("path", ["events", *ABOUT_ONE])
def test_nothing_of_a_deleted_endpoint_is_shown(api, endpoint, happen, path):
    [event] = happen()
    api.delete(f"/webhooks/{endpoint.pk}")
    assert api.get(f"/webhooks/{endpoint.pk}/{path.format(event.pk)}").status_code == 404


@pytest.mark.parametrize("count", [1, 20])
def test_the_list_costs_as_many_statements_however_long_it_is_and_reads_no_body(
    api, endpoint, happen, count
):
    happen(count=count)
    api.get(f"/webhooks/{endpoint.pk}/events")  # authentication may write that the key is in use
    with CaptureQueriesContext(connection) as asked:
        api.get(f"/webhooks/{endpoint.pk}/events")
    about = [each["sql"] for each in asked if "webhook_deliveries" in each["sql"]]
    assert len(about) == 1
    assert "body" not in about[0]
    assert len(asked) <= 4
