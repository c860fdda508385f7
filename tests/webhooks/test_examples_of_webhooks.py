"""The catalogue's examples of webhook.* match real events exactly."""

from datetime import timedelta

import orjson
import pytest
from django.utils import timezone

from events.catalogue import CATALOGUE
from tests.event_schemas import assert_like_example, check, masked
from webhooks import health
from webhooks.models import Endpoint

pytestmark = pytest.mark.django_db


@pytest.fixture
def fail_again(endpoint_at):
    """Record the `times`th consecutive failure of an endpoint that has failed for `duration`."""

    def make(duration, times):
        endpoint = endpoint_at(CATALOGUE["webhook.failing"].example["data"]["endpoint"])
        since = timezone.now() - duration
        Endpoint.objects.update(failing_since=since, failures_in_a_row=times - 1)
        endpoint.refresh_from_db()
        last = [health.RequestResult(endpoint, timezone.now(), 500, "http_500", 12)]
        health.update_health(last)
        health.notify_or_disable(last)

    return make


def test_webhook_failing_matches_its_example(fail_again):
    fail_again(health.NOTIFY_AFTER, 12)
    assert_like_example("webhook.failing")


def test_webhook_disabled_matches_its_example(fail_again):
    fail_again(health.DISABLED_AFTER + timedelta(seconds=1), 131)
    assert_like_example("webhook.disabled")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", CATALOGUE)
def test_test_events_match_the_examples(api, sink, endpoint_at, name):
    endpoint = endpoint_at(sink.url())
    answer = api.post(f"/webhooks/{endpoint.pk}/test", {"type": name})
    assert answer.json()["status_code"] == 200, answer.json()
    body = orjson.loads(sink.received[-1].body)
    check(body)
    assert masked(body) == masked(CATALOGUE[name].example)


@pytest.mark.django_db(transaction=True)
def test_a_test_event_has_type_webhook_test_by_default(api, sink, endpoint_at):
    api.post(f"/webhooks/{endpoint_at(sink.url()).pk}/test", {})
    assert masked(orjson.loads(sink.received[-1].body)) == masked(CATALOGUE["webhook.test"].example)
