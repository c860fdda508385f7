"""Every action of operators asks first, says how many rows, and leaves a trace on each."""

import re
from html import unescape

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts.models import ApiKey, Workspace
from contacts.models import SesRemoval, Suppression
from core.admin.base import COLOURS, RecordAdmin
from domains.models import Domain
from emails.models import Email
from events.models import Event
from ingest.models import ProviderEvent
from webhooks.models import Delivery, Endpoint

pytestmark = pytest.mark.django_db

# An action, the state of a row that it changes, and one of the values in its trace.
ACTIONS = {
    (ApiKey, "revoke"): ({"revoked_at": None}, "revoked_at: (empty) → 2"),
    (Suppression, "unsuppress"): ({"origin": "bounce"}, "origin: bounce → (empty)"),
    (SesRemoval, "retry_now"): (
        {"next_attempt_at": "2126-01-01T00:00Z"},
        "next_attempt_at: 2126-01-01T00:00:00Z → 2",
    ),
    (Domain, "check_now"): ({"next_attempt_at": None}, "next_attempt_at: (empty) → 2"),
    (Email, "retry_now"): ({"status": "unknown"}, "status: unknown → queued"),
    (Email, "hold"): (
        {"status": "queued", "next_attempt_at": "2126-01-01T00:00Z"},
        "status: queued → held",
    ),
    (Email, "release"): (
        {"status": "held", "next_attempt_at": "2126-01-01T00:00Z"},
        "status: held → queued",
    ),
    (Email, "mark_as_sent"): ({"status": "unknown"}, "status: unknown → sent"),
    (Email, "mark_as_failed"): ({"status": "unknown"}, "status: unknown → failed"),
    (Event, "dispatch_again"): (
        {"next_attempt_at": None, "last_error": "died"},
        "last_error: died → (empty)",
    ),
    (ProviderEvent, "reprocess"): (
        {"state": "quarantined", "next_attempt_at": None},
        "state: quarantined → received",
    ),
    (Delivery, "deliver_now"): (
        {"next_attempt_at": "2126-01-01T00:00Z"},
        "next_attempt_at: 2126-01-01T00:00:00Z → 2",
    ),
    (Delivery, "replay"): (
        {"status": "failed", "next_attempt_at": None},
        "status: failed → pending",
    ),
    (Endpoint, "enable"): ({"status": "disabled"}, "status: disabled → enabled"),
    (Endpoint, "disable"): ({"status": "enabled"}, "status: enabled → disabled"),
}
# These have pages and tests of their own (test_admin_endpoints.py, and below).
OTHER = {(Endpoint, "send_test"), (Endpoint, "recover")}


def url(model, name="changelist", *args):
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{name}", args=args)


def form_for(action, *rows, **more):
    return {"action": action, "index": "0", "_selected_action": [row.pk for row in rows]} | more


def text(response):
    source = response.content.decode()
    page = re.sub(r"<(script|style).*?</\1>|<[^>]+>", " ", source, flags=re.DOTALL)
    return " ".join(unescape(page).split())


def values(model):
    return list(model.objects.order_by("pk").values())


def test_every_action_is_tested_here(operator):
    request = RequestFactory().get("/")
    request.user = User.objects.get()
    found = {
        (model, action)
        for model, owner in admin.site._registry.items()
        if isinstance(owner, RecordAdmin) and model._meta.app_label in apps.app_configs
        for action in owner.get_actions(request)
    }
    ours = {(model, name) for model, name in found if model.__module__.endswith(".models")}
    assert {each for each in ours if each[0].__module__.split(".")[0] != "axes"} == (
        set(ACTIONS) | OTHER
    )


@pytest.mark.parametrize(
    ("model", "action"), ACTIONS, ids=[f"{model.__name__}-{name}" for model, name in ACTIONS]
)
def test_an_action_asks_counts_changes_and_leaves_a_trace(model, action, operator, fill):
    state, trace = ACTIONS[model, action]
    fill(2)
    model.objects.update(**state)
    before = values(model)
    rows = list(model.objects.order_by("pk"))

    question = operator.post(url(model), form_for(action, *rows))
    noun = model._meta.verbose_name_plural
    assert question.context["title"].endswith(f": 2 {noun}?")
    assert all(str(row) in text(question) for row in rows)
    assert (values(model), LogEntry.objects.count()) == (before, 0)

    done = operator.post(url(model), form_for(action, *rows, confirmed="yes"), follow=True)
    assert str(next(iter(done.context["messages"]))).startswith(f"2 {noun} ")
    assert values(model) != before
    entries = LogEntry.objects.order_by("pk")
    assert sorted(entry.object_id for entry in entries) == [str(row.pk) for row in rows]
    assert {entry.user.get_username() for entry in entries} == {"op"}
    assert trace in text(operator.get("/admin/admin/logentry/"))
    if model.objects.filter(pk=rows[0].pk).exists():
        for name in ("history", "change"):
            assert trace in text(operator.get(url(model, name, rows[0].pk)))


def test_a_read_request_and_a_user_without_permission_change_nothing(clerk, operator, fill):
    fill(1)
    key = ApiKey.objects.get()
    operator.get(url(ApiKey), form_for("revoke", key, confirmed="yes"))
    User.objects.get(username="clerk").user_permissions.add(
        Permission.objects.get(codename="view_apikey")
    )
    clerk.post(url(ApiKey), form_for("revoke", key, confirmed="yes"))
    assert ApiKey.objects.get().revoked_at is None
    assert not LogEntry.objects.exists()


def test_rows_that_an_action_cannot_change_are_not_counted(operator, fill):
    fill(3)
    revoked, *live = ApiKey.objects.order_by("pk")
    ApiKey.objects.filter(pk=revoked.pk).update(revoked_at=timezone.now())
    question = operator.post(url(ApiKey), form_for("revoke", revoked, *live))
    assert question.context["title"] == "Revoke: 2 API keys?"
    nothing = operator.post(url(ApiKey), form_for("revoke", revoked), follow=True)
    assert [str(each) for each in nothing.context["messages"]] == ["0 API keys revoked."]


def test_it_asks_again_when_there_are_more_rows_than_it_counted(operator, fill):
    fill(2)
    across = {"action": "revoke", "index": "0", "select_across": "1"}
    across["_selected_action"] = [ApiKey.objects.first().pk]
    question = operator.post(url(ApiKey), across)
    confirmed = dict(question.context["again"]) | {"confirmed": "yes"}
    fill(1)
    again = operator.post(question.context["back"], confirmed)
    assert again.context["title"] == "Revoke: 3 API keys?"
    assert not ApiKey.objects.exclude(revoked_at=None).exists()
    confirmed = dict(again.context["again"]) | {"confirmed": "yes"}
    operator.post(again.context["back"], confirmed)
    assert not ApiKey.objects.filter(revoked_at=None).exists()


def test_the_question_names_ten_rows_and_counts_the_others(operator, fill):
    fill(13)
    question = operator.post(url(ApiKey), form_for("revoke", *ApiKey.objects.all()))
    assert len(question.context["names"]) == 10
    assert "and 3 more" in text(question)


def test_an_action_has_a_constant_number_of_statements(operator, fill):
    def statements(count):
        fill(count)
        rows = Delivery.objects.filter(status="pending")
        form = form_for("deliver_now", *rows, confirmed="yes")
        with CaptureQueriesContext(connection) as captured:
            operator.post(url(Delivery), form)
        return len(captured)

    statements(1)
    assert statements(2) == statements(20)


def test_what_fails_leaves_no_trace(operator, fill, monkeypatch):
    fill(1)

    def fail(*args):
        raise RuntimeError

    monkeypatch.setattr("accounts.services.revoke_api_key", fail)
    with pytest.raises(RuntimeError):
        operator.post(url(ApiKey), form_for("revoke", ApiKey.objects.get(), confirmed="yes"))
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize("gone_before", [False, True])
def test_an_action_whose_row_is_gone_ends_on_the_list(operator, fill, gone_before):
    fill(1)
    suppression = Suppression.objects.get()
    form = form_for("unsuppress", suppression, record=str(suppression.pk), confirmed="yes")
    if gone_before:
        suppression.delete()
    done = operator.post(url(Suppression), form, follow=True)
    assert done.request["PATH_INFO"] == url(Suppression)
    said = [str(message) for message in done.context["messages"]]
    assert said == [f"{0 if gone_before else 1} suppression{'s' * gone_before} removed."]


def test_cancelling_leads_back_to_the_page_that_asked(operator, fill):
    fill(1)
    key = ApiKey.objects.get()
    from_page = operator.post(url(ApiKey), form_for("revoke", key, record=str(key.pk)))
    assert from_page.context["cancel"] == url(ApiKey, "change", key.pk)
    from_list = operator.post(url(ApiKey) + "?state=live", form_for("revoke", key))
    assert from_list.context["cancel"] == url(ApiKey) + "?state=live"


def test_a_test_event_and_a_recovery_are_traced(operator, fill):
    fill(1)
    Endpoint.objects.update(url="http://127.0.0.1:1024/")
    endpoint = Endpoint.objects.get()
    question = operator.post(url(Endpoint), form_for("send_test", endpoint))
    assert question.context["title"] == "Send a test event: 1 endpoint?"
    operator.post(url(Endpoint), form_for("send_test", endpoint, confirmed="yes"))
    span = {"ids": str(endpoint.pk), "since": "2026-01-01T00:00:00", "only": "all"}
    operator.post(reverse("admin:webhooks_endpoint_recover"), span)
    page = text(operator.get(url(Endpoint, "history", endpoint.pk)))
    assert "Send a test event result: (empty) → http://127.0.0.1:1024/:" in page
    assert "Recover recovery: (empty) → all from 01 Jan" in page


def test_forms_are_traced_with_values_but_without_passwords(operator, workspace):
    operator.post(url(Workspace, "change", workspace.pk), {"name": "Carol's", "rate_limit": 5})
    page = text(operator.get(url(Workspace, "change", workspace.pk)))
    assert "name: Alice's → Carol's" in page
    assert "rate_limit: (empty) → 5" in page

    new = {"username": "ada", "password1": "a new pass phrase", "password2": "a new pass phrase"}
    operator.post(url(User, "add"), new | {"usable_password": "true"})
    ada = User.objects.get(username="ada")
    operator.post(url(User, "change", ada.pk), {"username": "ada", "is_staff": "on"})
    page = text(operator.get(url(User, "history", ada.pk)))
    assert "username: (empty) → ada" in page
    assert not LogEntry.objects.filter(change_message__contains="pass phrase").exists()


def test_the_history_is_read_by_its_index(operator):
    with connection.cursor() as cursor:
        cursor.execute("SELECT indexdef FROM pg_indexes WHERE indexname = 'admin_log_of_object'")
        assert "(object_id, action_time DESC)" in cursor.fetchone()[0]


def test_an_operator_with_a_history_cannot_be_deleted_with_it(operator, workspace):
    operator.post(url(Workspace, "change", workspace.pk), {"name": "Carol's"})
    op = User.objects.get()
    assert operator.post(url(User, "delete", op.pk), {"post": "yes"}).status_code == 403
    assert LogEntry.objects.exists()


def choices():
    for model in apps.get_models():
        for field in model._meta.fields:
            if field.name in {"status", "state", "verdict", "origin"} and field.choices:
                yield from (
                    (f"{model.__name__}.{field.name}", str(value)) for value, _ in field.choices
                )


def test_every_status_has_a_colour():
    found = list(choices())
    assert ("Email.status", "held") in found
    assert len({name for name, _ in found}) >= 7
    assert [each for each in found if each[1] not in COLOURS] == []
