"""The API for an endpoint's events and attempts."""

from uuid import UUID

import pytest

from core.db.ids import uuid7
from tests.database import captured_statements
from tests.webhooks.webhook_sink import response
from webhooks.dispatch.loop import deliver_due
from webhooks.models import Delivery

pytestmark = pytest.mark.django_db(transaction=True)


def bare(event_id):
    return event_id.removeprefix("whd_")


@pytest.fixture
def endpoint(endpoint_at, sink):
    return endpoint_at(sink.url())


@pytest.fixture
def list_events(api, endpoint):
    def get(**query):
        answer = api.get(f"/webhooks/{endpoint.pk}/events", query)
        assert answer.status_code == 200, answer.json()
        assert answer.json()["object"] == "list"
        return answer.json()["data"], answer.json()["has_more"]

    return get


def test_events_are_listed_newest_first_with_their_delivery_status(
    api, endpoint, publish_events, list_events, sink
):
    [first] = publish_events("contact.created")
    deliver_due()
    sink.answers["/hook"] = response(500, b"no")
    [second] = publish_events("contact.deleted")
    deliver_due()
    [third] = publish_events("contact.updated")
    (newest, failed, delivered), more = list_events()
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


def test_the_list_is_paged_by_event_ids(endpoint, publish_events, list_events):
    ids = [f"whd_{event.pk}" for event in reversed(publish_events(count=5))]
    # Reverse the order of the deliveries' own ids: they must not matter.
    for event_id in ids:
        Delivery.objects.filter(event=bare(event_id)).update(id=uuid7())
    data, more = list_events(limit=2)
    assert ([each["id"] for each in data], more) == (ids[:2], True)
    data, more = list_events(limit=2, after=ids[1])
    assert ([each["id"] for each in data], more) == (ids[2:4], True)
    data, more = list_events(limit=2, after=bare(ids[3]))
    assert ([each["id"] for each in data], more) == (ids[4:], False)
    data, more = list_events(limit=2, before=ids[3])
    assert ([each["id"] for each in data], more) == (ids[1:3], True)


@pytest.mark.parametrize("cursor", ["whd_", "whd_x", "whd_whd_" + str(UUID(int=1)), "evt_1"])
def test_an_invalid_cursor_is_refused_with_its_field(api, endpoint, cursor):
    answer = api.get(f"/webhooks/{endpoint.pk}/events", {"after": cursor})
    assert answer.status_code == 422
    assert set(answer.json()["details"]["fields"]) == {"after"}


@pytest.mark.parametrize("status", ["pending", "attempting", "failed"])
def test_events_can_be_filtered_by_status(endpoint, publish_events, list_events, status):
    events = publish_events(count=8)
    states = [
        ("pending", "http_500", True),
        ("attempting", "", True),
        ("failed", "timeout", False),
        ("success", "", False),
    ]
    for event, (state, error, is_open) in zip(events, states * 2, strict=True):
        changes = {} if is_open else {"next_attempt_at": None}
        Delivery.objects.filter(event=event).update(status=state, last_error=error, **changes)
    data, _ = list_events(status=status)
    place = [state for state, _, _ in states].index(status)
    assert [each["id"] for each in data] == [
        f"whd_{events[place + 4].pk}",
        f"whd_{events[place].pk}",
    ]
    assert {each["status"] for each in data} == {status}
    newest = f"whd_{events[place + 4].pk}"
    older, more = list_events(status=status, after=newest, limit=1)
    assert ([each["id"] for each in older], more) == ([f"whd_{events[place].pk}"], False)
    newer, more = list_events(status=status, before=f"whd_{events[place].pk}", limit=1)
    assert ([each["id"] for each in newer], more) == ([newest], False)


@pytest.mark.parametrize("status", ["success", "lost", ""])
def test_unsupported_status_filters_are_refused(api, endpoint, status):
    answer = api.get(f"/webhooks/{endpoint.pk}/events", {"status": status})
    assert answer.status_code == 422
    assert answer.json()["details"]["fields"] == {
        "status": "must be one of pending, attempting, failed"
    }


@pytest.mark.parametrize("spelt", ["whd_{}", "{}"])
def test_a_single_event_includes_its_payload(api, endpoint, publish_events, spelt):
    [event] = publish_events()
    answer = api.get(f"/webhooks/{endpoint.pk}/events/{spelt.format(event.pk)}")
    assert answer.status_code == 200
    body = answer.json()
    assert (body["id"], body["status"]) == (f"whd_{event.pk}", "pending")
    assert body["payload"]["id"] == f"whd_{event.pk}"
    assert body["payload"]["data"] == event.data()


def test_attempts_are_listed_newest_first(api, endpoint, publish_events, sink, make_due):
    sink.answers["/hook"] = response(503, b"try later")
    [event] = publish_events()
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


def test_attempts_are_paged(api, endpoint, publish_events, sink, make_due):
    sink.answers["/hook"] = response(500)
    [event] = publish_events()
    for _ in range(3):
        deliver_due()
        make_due()
    url = f"/webhooks/{endpoint.pk}/events/{event.pk}/attempts"
    first = api.get(url, {"limit": 2}).json()
    assert ([each["number"] for each in first["data"]], first["has_more"]) == ([3, 2], True)
    rest = api.get(url, {"limit": 2, "after": first["data"][-1]["id"]}).json()
    assert ([each["number"] for each in rest["data"]], rest["has_more"]) == ([1], False)


SINGLE_EVENT_PATHS = ["events/{}", "events/{}/attempts"]


@pytest.mark.parametrize("path", SINGLE_EVENT_PATHS)
@pytest.mark.parametrize("given", ["nonsense", "whd_", "whd_nonsense", str(UUID(int=1)), "%00"])
def test_unknown_events_are_404(api, endpoint, path, given):
    answer = api.get(f"/webhooks/{endpoint.pk}/{path.format(given)}")
    assert (answer.status_code, answer.json()["name"]) == (404, "not_found")


@pytest.mark.parametrize("path", SINGLE_EVENT_PATHS)
def test_events_of_another_endpoint_are_404(api, endpoint, endpoint_at, publish_events, path):
    [event] = publish_events()
    other = endpoint_at("https://hooks.example.com/other")
    answer = api.get(f"/webhooks/{other.pk}/{path.format(event.pk)}")
    assert answer.status_code == 404


@pytest.mark.parametrize("path", ["events", *SINGLE_EVENT_PATHS])
def test_strangers_get_404(stranger, api, endpoint, publish_events, path):
    [event] = publish_events()
    url = f"/webhooks/{endpoint.pk}/{path.format(event.pk)}"
    assert api.get(url).status_code == 200
    answer = stranger.get(url)
    assert (answer.status_code, answer.json()["name"]) == (404, "not_found")


@pytest.mark.parametrize("path", ["events", *SINGLE_EVENT_PATHS])
def test_a_deleted_endpoint_is_404(api, endpoint, publish_events, path):
    [event] = publish_events()
    api.delete(f"/webhooks/{endpoint.pk}")
    assert api.get(f"/webhooks/{endpoint.pk}/{path.format(event.pk)}").status_code == 404


@pytest.mark.parametrize("count", [1, 20])
def test_listing_takes_a_constant_number_of_queries_and_reads_no_body(
    api, endpoint, publish_events, count
):
    publish_events(count=count)
    api.get(f"/webhooks/{endpoint.pk}/events")  # authentication may update the key's last use
    with captured_statements() as queries:
        api.get(f"/webhooks/{endpoint.pk}/events")
    on_deliveries = [sql for sql in queries if "webhook_deliveries" in sql]
    assert len(on_deliveries) == 1
    assert "body" not in on_deliveries[0]
    assert len(queries) <= 4
