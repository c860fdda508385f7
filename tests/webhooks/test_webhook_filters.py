"""Endpoints that hear of some domains, pods or inboxes only."""

from uuid import uuid4

import pytest
from django.db import transaction

from domains.models import Domain
from emails.providers import Accepted, get_provider
from emails.sending.loop import send_due
from events.catalogue import CATALOGUE
from events.dispatch import dispatch_due
from events.services import Fact, publish
from webhooks.dispatch.loop import deliver_due
from webhooks.models import Endpoint


class Obliging:
    """A provider that takes every message."""

    name = "obliging"

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
    return Domain.objects.create(
        workspace=workspace,
        name="second.example",
        status=Domain.Status.VERIFIED,
        region=domain.region,
        ses_configuration_set_name="opensend",
        dkim_tokens=["a", "b", "c"],
        next_attempt_at=None,
    )


@pytest.fixture
def provider(settings):
    settings.EMAIL_PROVIDER = f"{__name__}.Obliging"
    get_provider.cache_clear()
    yield
    get_provider.cache_clear()


@pytest.fixture
def hear(api, sink):
    """Make an endpoint at a path of the sink; its answer."""

    def make(path, events=("*",), **filters):
        body = {"endpoint": sink.url(path), "events": list(events)} | filters
        return api.post("/webhooks", body)

    return make


@pytest.fixture
def tell(workspace, sink):
    """Publish a fact and deliver it; the paths that heard of it."""

    def about(kind="contact.created", data=None, **ids):
        del sink.received[:]
        given = CATALOGUE[kind].example_data() | (data or {})
        with transaction.atomic():
            publish([Fact(kind, workspace.pk, given, **ids)])
        while dispatch_due():
            pass
        deliver_due()
        return set(sink.paths())

    return about


def fields_of(answer):
    assert answer.status_code == 422, answer.json()
    return answer.json()["details"]["fields"]


def test_a_mail_reaches_the_endpoint_of_its_domain_only(
    api, hear, sink, domain, second_domain, provider
):
    assert hear("first", ["email.*"], domain_ids=[str(domain.pk)]).status_code == 201
    hear("second", ["email.*"], domain_ids=[str(second_domain.pk)])
    hear("both", domain_ids=[str(second_domain.pk), str(domain.pk)])
    hear("any", ["email.sent"])
    hear("other-type", ["email.bounced"], domain_ids=[str(second_domain.pk)])
    mail = {"from": "Ada <ada@second.example>", "to": "bob@example.net", "subject": "Hi"}
    assert api.post("/emails", mail | {"text": "Hi"}).status_code == 200
    assert send_due() == 1
    while dispatch_due():
        pass
    deliver_due()
    assert set(sink.paths()) == {"second", "both", "any"}


def test_a_change_of_filters_holds_from_the_next_event_on(api, hear, tell, domain, second_domain):
    made = hear("hook", domain_ids=[str(domain.pk)]).json()
    assert tell(domain_id=second_domain.pk) == set()
    api.patch(f"/webhooks/{made['id']}", {"domain_ids": [str(second_domain.pk)]})
    assert tell(domain_id=second_domain.pk) == {"hook"}
    assert tell(domain_id=domain.pk) == set()
    api.patch(f"/webhooks/{made['id']}", {"domain_ids": []})
    assert tell() == {"hook"}


def test_filters_of_several_kinds_must_all_let_an_event_pass(hear, tell, domain):
    pod, inbox = uuid4(), uuid4()
    hear("hook", domain_ids=[str(domain.pk)], pod_ids=[str(pod)], inbox_ids=[str(inbox)])
    about = {"domain_id": domain.pk, "pod_id": pod, "inbox_id": inbox}
    assert tell("message.received", **about) == {"hook"}
    for name in about:
        assert tell("message.received", **about | {name: uuid4()}) == set()
        assert tell("message.received", **about | {name: None}) == set()


def test_a_group_of_types_is_filtered_as_well(hear, tell):
    pod = uuid4()
    hear("group", ["inbox.*"], pod_ids=[str(pod)])
    hear("everything", ["*"], pod_ids=[str(pod)])
    assert tell("inbox.suspended", pod_id=pod) == {"group", "everything"}
    assert tell("inbox.suspended", pod_id=uuid4()) == set()
    assert tell("contact.created") == set()


def test_notices_on_endpoints_pass_every_filter(hear, tell, domain):
    hear("filtered", domain_ids=[str(domain.pk)], inbox_ids=[str(uuid4())])
    hear("other-types", ["email.*"], domain_ids=[str(domain.pk)])
    failing = hear("failing").json()["id"]
    assert tell("webhook.failing", {"webhook_id": failing}) == {"filtered"}


def test_ids_that_the_workspace_does_not_have_are_named(api, hear, domain, stranger):
    unknown = uuid4()
    fields = fields_of(hear("hook", domain_ids=[str(domain.pk), str(unknown)]))
    assert fields == {"domain_ids.1": f"there is no domain {unknown} in this workspace"}
    theirs = stranger.post(
        "/webhooks",
        {
            "endpoint": "https://hooks.example.com",
            "events": ["*"],
            "domain_ids": [str(domain.pk)],
        },
    )
    assert set(fields_of(theirs)) == {"domain_ids.0"}
    assert not Endpoint.objects.exists()

    made = hear("hook", domain_ids=[str(domain.pk)]).json()
    changed = api.patch(f"/webhooks/{made['id']}", {"domain_ids": [str(unknown)]})
    assert set(fields_of(changed)) == {"domain_ids.0"}
    assert Endpoint.objects.get().domain_ids == [domain.pk]


def test_a_deleted_domain_is_none(hear, domain):
    Domain.objects.filter(pk=domain.pk).update(deleted_at=domain.created_at)
    assert set(fields_of(hear("hook", domain_ids=[str(domain.pk)]))) == {"domain_ids.0"}


def test_the_last_event_of_a_domain_is_heard(hear, tell, domain):
    hear("hook", domain_ids=[str(domain.pk)])
    Domain.objects.filter(pk=domain.pk).delete()
    assert tell("domain.deleted", domain_id=domain.pk) == {"hook"}
