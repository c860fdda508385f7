"""Endpoints that are limited to certain domains, pods or inboxes."""

from uuid import uuid4

import pytest

from domains.models import Domain
from emails.providers import Accepted
from emails.sending.loop import send_due
from tests.clients import email_provider, rejected_fields
from tests.factories import dispatch_all, example_fact, publish_committed, verified_domain
from webhooks.dispatch.loop import deliver_due
from webhooks.models import Endpoint


class AcceptingProvider:
    """A provider that accepts every message."""

    name = "accepting"

    def bucket(self, region):
        return ""

    def send(self, message):
        number = str(message.email_id)
        return Accepted(
            provider_message_id=number, message_id=f"<{number}@ses>", provider_response={}
        )


pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def second_domain(domain, workspace):
    return verified_domain(workspace, "second.example")


@pytest.fixture
def provider(settings):
    with email_provider(settings, f"{__name__}.AcceptingProvider"):
        yield


@pytest.fixture
def subscribe(api, sink):
    """Create an endpoint at a path of the sink; returns the API response."""

    def make(path, events=("*",), **filters):
        body = {"endpoint": sink.url(path), "events": list(events)} | filters
        return api.post("/webhooks", body)

    return make


@pytest.fixture
def publish_and_deliver(workspace, sink):
    """Publish a fact and deliver it; returns the paths that received it."""

    def run(kind="contact.created", data=None, **ids):
        del sink.received[:]
        publish_committed([example_fact(workspace, kind, data, **ids)])
        dispatch_all()
        deliver_due()
        return set(sink.paths())

    return run


def test_an_email_event_reaches_only_endpoints_of_its_domain(
    api, subscribe, sink, domain, second_domain, provider
):
    assert subscribe("first", ["email.*"], domain_ids=[str(domain.pk)]).status_code == 201
    subscribe("second", ["email.*"], domain_ids=[str(second_domain.pk)])
    subscribe("both", domain_ids=[str(second_domain.pk), str(domain.pk)])
    subscribe("any", ["email.sent"])
    subscribe("other-type", ["email.bounced"], domain_ids=[str(second_domain.pk)])
    mail = {"from": "Ada <ada@second.example>", "to": "bob@example.net", "subject": "Hi"}
    assert api.post("/emails", mail | {"text": "Hi"}).status_code == 200
    assert send_due().claimed == 1
    dispatch_all()
    deliver_due()
    assert set(sink.paths()) == {"second", "both", "any"}


def test_changed_filters_apply_from_the_next_event(
    api, subscribe, publish_and_deliver, domain, second_domain
):
    made = subscribe("hook", domain_ids=[str(domain.pk)]).json()
    assert publish_and_deliver(domain_id=second_domain.pk) == set()
    api.patch(f"/webhooks/{made['id']}", {"domain_ids": [str(second_domain.pk)]})
    assert publish_and_deliver(domain_id=second_domain.pk) == {"hook"}
    assert publish_and_deliver(domain_id=domain.pk) == set()
    api.patch(f"/webhooks/{made['id']}", {"domain_ids": []})
    assert publish_and_deliver() == {"hook"}


def test_an_event_must_match_all_kinds_of_filters(subscribe, publish_and_deliver, domain):
    pod, inbox = uuid4(), uuid4()
    subscribe("hook", domain_ids=[str(domain.pk)], pod_ids=[str(pod)], inbox_ids=[str(inbox)])
    about = {"domain_id": domain.pk, "pod_id": pod, "inbox_id": inbox}
    assert publish_and_deliver("message.received", **about) == {"hook"}
    for name in about:
        assert publish_and_deliver("message.received", **about | {name: uuid4()}) == set()
        assert publish_and_deliver("message.received", **about | {name: None}) == set()


def test_filters_apply_to_groups_of_types(subscribe, publish_and_deliver):
    pod = uuid4()
    subscribe("group", ["inbox.*"], pod_ids=[str(pod)])
    subscribe("everything", ["*"], pod_ids=[str(pod)])
    assert publish_and_deliver("inbox.suspended", pod_id=pod) == {"group", "everything"}
    assert publish_and_deliver("inbox.suspended", pod_id=uuid4()) == set()
    assert publish_and_deliver("contact.created") == set()


def test_webhook_events_pass_every_filter(subscribe, publish_and_deliver, domain):
    subscribe("filtered", domain_ids=[str(domain.pk)], inbox_ids=[str(uuid4())])
    subscribe("other-types", ["email.*"], domain_ids=[str(domain.pk)])
    failing = subscribe("failing").json()["id"]
    assert publish_and_deliver("webhook.failing", {"webhook_id": failing}) == {"filtered"}


def test_ids_not_in_the_workspace_are_refused(api, subscribe, domain, stranger):
    unknown = uuid4()
    fields = rejected_fields(subscribe("hook", domain_ids=[str(domain.pk), str(unknown)]))
    assert fields == {"domain_ids.1": f"there is no domain {unknown} in this workspace"}
    theirs = stranger.post(
        "/webhooks",
        {
            "endpoint": "https://hooks.example.com",
            "events": ["*"],
            "domain_ids": [str(domain.pk)],
        },
    )
    assert set(rejected_fields(theirs)) == {"domain_ids.0"}
    assert not Endpoint.objects.exists()

    made = subscribe("hook", domain_ids=[str(domain.pk)]).json()
    changed = api.patch(f"/webhooks/{made['id']}", {"domain_ids": [str(unknown)]})
    assert set(rejected_fields(changed)) == {"domain_ids.0"}
    assert Endpoint.objects.get().domain_ids == [domain.pk]


def test_a_deleted_domain_is_refused(subscribe, domain):
    Domain.objects.filter(pk=domain.pk).update(deleted_at=domain.created_at)
    assert set(rejected_fields(subscribe("hook", domain_ids=[str(domain.pk)]))) == {"domain_ids.0"}


def test_the_event_about_a_domain_deletion_is_delivered(subscribe, publish_and_deliver, domain):
    subscribe("hook", domain_ids=[str(domain.pk)])
    Domain.objects.filter(pk=domain.pk).delete()
    assert publish_and_deliver("domain.deleted", domain_id=domain.pk) == {"hook"}
