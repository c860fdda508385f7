"""The admin shows data as it is, numbers as people write them, and one name for each page."""

import re
from datetime import timedelta
from html import unescape

import pytest
from django.contrib import admin
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from core.admin.base import Alert, RecordAdmin, format_number
from emails.models import SendRate
from tests.admin.sample_rows import create_one_of_each
from webhooks.hourly_stats import last_hours
from webhooks.models import Delivery, Endpoint, EndpointHour
from webhooks.services import create_endpoint

pytestmark = pytest.mark.django_db


def text(client, address):
    source = client.get(address).content.decode()
    page = re.sub(r"<(script|style).*?</\1>|<[^>]+>", " ", source, flags=re.DOTALL)
    return " ".join(unescape(page).split())


@pytest.fixture
def endpoint(workspace):
    return create_endpoint(
        workspace=workspace, url="http://127.0.0.1:1024/hook", event_types=["*"]
    )[0]


def test_titles_show_data_as_it_is(operator, endpoint, domain, make_email):
    email = make_email(subject="iPhone", to=["bob@example.org"])
    for row, name in ((endpoint, endpoint.url), (domain, "example.com"), (email, "iPhone")):
        page = "change", "history"
        for view in page:
            url = reverse(
                f"admin:{row._meta.app_label}_{row._meta.model_name}_{view}", args=[row.pk]
            )
            shown = text(operator, url)
            assert name in shown
            assert name[0].upper() + name[1:] not in shown.replace(name, "")


def test_a_confirmation_names_deliveries_by_their_event_and_endpoint(operator, workspace):
    create_one_of_each(workspace)
    delivery = Delivery.objects.select_related("event", "endpoint").get()
    action = {"action": "replay", "_selected_action": str(delivery.pk)}
    page = operator.post("/admin/webhooks/delivery/", action)
    assert page.context["names"] == [f"{delivery.event.type} to {delivery.endpoint.url}"]


def test_each_search_says_what_it_takes():
    """A search finds what is typed in full, by the columns of its `find`."""
    for owner in admin.site._registry.values():
        if isinstance(owner, RecordAdmin):
            own = vars(type(owner))
            assert "search_help_text" in own or not own.keys() & {"find", "exact"}, type(owner)


def test_names_of_models_begin_with_a_capital_in_titles():
    class Row:
        pk = 1

        def __str__(self):
            return "eBay"

    parts = [{"title": "provider callbacks"}, {"title": "API keys"}, {"title": Row()}]
    shown = render_to_string("unfold/helpers/header_title.html", {"parts": parts})
    assert all(name in shown for name in ("Provider callbacks", "API keys", "eBay"))


def test_a_page_has_one_name(operator):
    """In the sidebar, on the page, and on the overview."""
    index = operator.get("/admin/")
    pages = [
        item
        for group in index.context["sidebar_navigation"]
        for item in group["items"]
        if item["link"] != "/admin/"
    ]
    assert len(pages) > 20
    by_link = {
        reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"): model
        for model in admin.site._registry
    }
    for item in pages:
        name = by_link[str(item["link"])]._meta.verbose_name_plural
        assert str(item["title"]) == name[0].upper() + name[1:]
    names = {str(item["title"]) for item in pages}
    (queues,) = index.context["panels"]
    for cell, *_ in queues.rows:
        assert re.sub(r"<[^>]+>", "", str(cell)) in names


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (2.8e-13, "0"),
        (-2.8e-13, "0"),
        (0.0, "0"),
        (0.0523, "0.052"),
        (0.5, "0.5"),
        (1.0, "1"),
        (13.98, "14"),
        (99.94, "99.9"),
        (500.0, "500"),
        (50_000.0, "50,000"),
        (1e16, "10,000,000,000,000,000"),
        (None, ""),
    ],
)
def test_numbers_are_written_for_people(value, shown):
    assert format_number(value) == shown


def test_no_page_shows_a_float_with_all_its_digits(operator):
    columns = ["max_rate", "sent_24h", "sent_since", "tokens", "factor", "calls", "throttled"]
    SendRate.objects.create(
        name="us-east-1", daily_quota=50_000.0, **dict.fromkeys(columns, 2.8437e-13)
    )
    pages = [
        text(operator, reverse("admin:emails_sendrate_changelist")),
        text(operator, reverse("admin:emails_sendrate_change", args=["us-east-1"])),
    ]
    for page in pages:
        assert "50,000" in page
        assert not re.search(r"0\.000|e-1|50000|\d\.0\b", page)


@pytest.mark.parametrize(
    ("succeeded", "failed", "bars"),
    [
        (0, 21, [("bad", "96.0", "4.0"), ("good", "100.0", "0.0")]),
        (1, 1, [("bad", "50.0", "4.0"), ("good", "54.0", "46.0")]),
        (99_999, 1, [("bad", "0.0", "4.0"), ("good", "4.0", "96.0")]),
        (1, 99_999, [("bad", "96.0", "4.0"), ("good", "100.0", "0.0")]),
        (3, 0, [("bad", "0.0", "0.0"), ("good", "0.0", "100.0")]),
    ],
)
def test_a_bar_is_as_high_as_the_rate(succeeded, failed, bars, endpoint):
    hour = timezone.now().replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
    EndpointHour.objects.create(
        endpoint=endpoint, hour=hour, succeeded=succeeded, failed=failed, total_ms=1
    )
    shown = last_hours(endpoint).bands[0].bars
    assert [(bar.kind, bar.y, bar.height) for bar in shown] == [
        (kind, str(float(y)), height) for kind, y, height in bars
    ]


def test_an_alert_about_one_row_is_in_the_singular(operator, endpoint):
    Endpoint.objects.update(failures_in_a_row=9, failing_since=timezone.now())
    assert "1 endpoint is half-open" in text(operator, "/admin/")
    assert Alert("keys are old", 2, "/", one="key is old").sentence == "keys are old"
    assert Alert("keys are old", 1, "/").sentence == "keys are old"


def test_a_page_offers_only_actions_that_change_its_row(operator, make_email):
    def buttons(**state):
        email = make_email(**state)
        page = operator.get(reverse("admin:emails_email_change", args=[email.pk]))
        return [button.name for button in page.context["buttons"]]

    assert buttons() == []
    assert buttons(status="unknown") == ["retry_now", "mark_as_sent", "mark_as_failed"]
    assert buttons(status="held", next_attempt_at="2126-01-01T00:00Z") == ["release"]
    assert buttons(status="queued", next_attempt_at="2126-01-01T00:00Z") == ["retry_now", "hold"]
