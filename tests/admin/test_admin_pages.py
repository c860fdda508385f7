"""Every table has admin pages; they are read-only, show no secrets, and need few queries."""

import pytest
from django.apps import apps
from django.contrib import admin
from django.urls import reverse

from accounts.models import ApiKey, Workspace
from contacts.models import Contact, Suppression
from core.admin.base import BoundedPaginator, RecordAdmin
from domains.models import Domain
from emails.models import Email, EmailEvent, EmailRecipient
from events.models import Event
from ingest.models import ProviderEvent
from tests.database import captured_statements
from webhooks.models import Attempt, Delivery, Endpoint, EndpointHour, EndpointRateLimit, Recovery

pytestmark = pytest.mark.django_db
OURS = [
    "accounts",
    "contacts",
    "core",
    "domains",
    "emails",
    "events",
    "ingest",
    "tracking",
    "webhooks",
]
# Without their own pages: statistics of an endpoint, shown on its page.
STATISTICS = {EndpointHour, EndpointRateLimit}
MODELS = [
    model
    for app in OURS
    for model in apps.get_app_config(app).get_models()
    if model not in STATISTICS
]
ADDABLE = {"Workspace", "ApiKey", "Suppression"}
EDITABLE = {"Workspace", "Domain"}
SECRETS = ["d16e57", "gAAAA", "Action=Unsubscribe", "t0k3n"]

FILTERS = [
    (Email, "status__exact=failed"),
    (Email, "state=overdue"),
    (Email, "state=held"),
    (Email, "state=exhausted"),
    (Event, "work=overdue"),
    (Event, "work=due"),
    (Event, "work=exhausted"),
    (Event, "work=dead-lettered"),
    (ProviderEvent, "odd=quarantined"),
    (ProviderEvent, "odd=unmatched"),
    (ProviderEvent, "odd=left"),
    (ProviderEvent, "odd=control"),
    (ProviderEvent, "odd=confirmed"),
    (ProviderEvent, "odd=unsubscribed"),
    (ProviderEvent, "work=overdue"),
    (Delivery, "work=failing"),
    (Delivery, "work=failed"),
    (Endpoint, "state=disabled"),
    (Endpoint, "state=failing"),
    (Endpoint, "state=failing_long"),
    (Endpoint, "state=half_open"),
    (Endpoint, "state=switched_off"),
    (Endpoint, "state=enabled"),
    (Domain, "state=unverified"),
    (Domain, "state=troubled"),
    (ApiKey, "state=revoked"),
]


def page(model, name, *args):
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{name}", args=args)


def queries(client, address):
    with captured_statements() as statements:
        response = client.get(address)
        assert response.status_code == 200
        response.content  # noqa: B018 (rendering may run queries too)
    return len(statements)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_table_has_a_page(model):
    assert isinstance(admin.site._registry[model], RecordAdmin)


def test_a_list_has_a_constant_number_of_queries(operator, fill):
    addresses = [page(model, "changelist") for model in MODELS]
    fill(3)
    queries(operator, addresses[0])  # warms up queries that run once per process
    few = {address: queries(operator, address) for address in addresses}
    fill(27)
    assert {address: queries(operator, address) for address in addresses} == few


def test_record_pages_show_no_secrets(operator, fill):
    fill(2)
    for model in MODELS:
        record = model.objects.order_by("pk").last()
        for address in (page(model, "change", record.pk), page(model, "changelist")):
            shown = operator.get(address)
            assert shown.status_code == 200
            assert str(record.pk) in shown.content.decode()
            assert not [secret for secret in SECRETS if secret in shown.content.decode()]


def test_records_cannot_be_deleted_or_edited(operator, fill):
    fill(1)
    for model in MODELS:
        record = model.objects.order_by("pk").last()
        before = model.objects.filter(pk=record.pk).values().get()
        assert operator.post(page(model, "delete", record.pk), {"post": "yes"}).status_code == 403
        if model.__name__ not in EDITABLE:
            changed = operator.post(page(model, "change", record.pk), {"name": "x", "email": "x"})
            assert changed.status_code == 403
        expected = 200 if model.__name__ in ADDABLE else 403
        assert operator.get(page(model, "add")).status_code == expected
        assert model.objects.filter(pk=record.pk).values().get() == before


def test_a_search_finds_full_ids_only(operator, fill):
    fill(3)
    for model in MODELS:
        record = model.objects.order_by("pk").first()
        found = operator.get(page(model, "changelist"), {"q": str(record.pk)})
        assert [row.pk for row in found.context["cl"].result_list] == [record.pk]
        piece = operator.get(page(model, "changelist"), {"q": str(record.pk)[:-1]})
        assert piece.context["cl"].result_list.count() == 0


@pytest.mark.parametrize(
    ("model", "column"),
    [
        (Contact, "email"),
        (Suppression, "email"),
        (Domain, "name"),
        (Endpoint, "url"),
        (EmailRecipient, "address"),
        (EmailEvent, "email_id"),
        (EmailRecipient, "email_id"),
        (ProviderEvent, "event_id"),
        (ProviderEvent, "email_id"),
        (Delivery, "event_id"),
        (Attempt, "delivery_id"),
        (Recovery, "endpoint_id"),
        (ApiKey, "prefix"),
    ],
)
def test_a_search_finds_by_natural_keys(model, column, operator, fill):
    fill(2)
    record = model.objects.order_by("pk").last()
    shown = operator.get(page(model, "changelist"), {"q": str(getattr(record, column))})
    assert record in shown.context["cl"].result_list


def test_an_email_is_found_by_address_and_by_both_message_ids(operator, fill, make_email):
    fill(1)
    email = make_email(provider_message_id="0100-abc-000000")
    email.recipients.create(kind="to", address="bob@xn--bcher-kva.test")
    terms = [
        "bob@XN--BCHER-KVA.test",
        "0100-abc-000000",
        "<0100-abc-000000@email.amazonses.com>",
        f"<{email.pk}@example.com>",
    ]
    for term in terms:
        shown = operator.get(page(Email, "changelist"), {"q": term})
        assert list(shown.context["cl"].result_list) == [email], term


@pytest.mark.parametrize(
    ("model", "query"), FILTERS, ids=lambda value: getattr(value, "__name__", value)
)
def test_a_filter_counts_with_a_bounded_query(model, query, operator, fill):
    fill(1)
    with captured_statements() as captured:
        shown = operator.get(page(model, "changelist") + "?" + query)
    assert shown.status_code == 200
    assert shown.context["cl"].result_list is not None
    statements = [sql for sql in captured if f'FROM "{model._meta.db_table}"' in sql]
    counts = [sql for sql in statements if "COUNT(" in sql]
    assert counts
    assert all("LIMIT" in sql for sql in counts)


def test_filters_find_matching_rows(operator, make_email, fill):
    fill(1)
    held = make_email(status="unknown")
    make_email(status="delivered")
    shown = operator.get(page(Email, "changelist") + "?state=held")
    assert list(shown.context["cl"].result_list) == [held]
    ProviderEvent.objects.update(state="quarantined", next_attempt_at=None)
    shown = operator.get(page(ProviderEvent, "changelist") + "?odd=quarantined")
    assert shown.context["cl"].result_list.count() == 1
    shown = operator.get(page(ProviderEvent, "changelist") + "?odd=unmatched")
    assert shown.context["cl"].result_list.count() == 0


def test_a_list_can_be_filtered_by_workspace(operator, make_email, workspace, fill):
    fill(2)
    own = make_email()
    shown = operator.get(page(Email, "changelist"), {"workspace__id__exact": str(workspace.pk)})
    assert list(shown.context["cl"].result_list) == [own]


def test_counting_stops_early(fill, monkeypatch):
    monkeypatch.setattr("core.admin.base.COUNT_LIMIT", 4)
    fill(6)
    paginator = BoundedPaginator(Email.objects.order_by("-pk"), 2)
    assert paginator.count == 4
    assert paginator.num_pages == 2
    assert paginator.is_truncated


def test_staff_without_permissions_see_nothing(clerk, fill):
    fill(1)
    for model in MODELS:
        assert clerk.get(page(model, "changelist")).status_code == 403


def test_the_dashboard_alerts_about_problems(operator, fill):
    fill(1)
    quiet = operator.get("/admin/").content.decode()
    assert "quarantined" not in quiet
    ProviderEvent.objects.update(state="quarantined", next_attempt_at=None)
    Endpoint.objects.update(status="disabled", disabled_reason="The endpoint answered 410 Gone")
    Workspace.objects.update(rate_limit=1)
    loud = operator.get("/admin/").content.decode()
    assert "callbacks are quarantined" in loud
    assert "endpoints were disabled automatically" in loud
    assert page(ProviderEvent, "changelist") + "?odd=quarantined" in loud


def test_the_dashboard_alerts_when_all_ses_events_are_rejected(operator, settings):
    assert "SES_EVENTS_SNS_TOPIC_ARN" not in operator.get("/admin/").content.decode()
    settings.SES_EVENTS_SNS_TOPIC_ARN = []
    assert "SES_EVENTS_SNS_TOPIC_ARN" in operator.get("/admin/").content.decode()
