"""Customers' endpoints: how they stand, and what an operator does about it."""

from typing import Any, ClassVar

from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.html import format_html

from core.admin.base import (
    BY_WORKSPACE,
    Alert,
    BoundedFilter,
    RecordAdmin,
    alerts,
    anchor,
    bounded_count,
    labelled,
    list_url,
    picked,
)
from webhooks import send_test, services
from webhooks.admin import sections
from webhooks.admin.recovering import AT_ONCE, RecoverPage
from webhooks.endpoint_status import (
    FAILING,
    HALF_OPEN,
    SWITCHED_OFF,
    State,
    missed_since,
    recover_url,
    standing,
    state_of,
)
from webhooks.health import TOLD_AFTER
from webhooks.hourly_stats import days_of, last_hours
from webhooks.models import Endpoint


def failing_long() -> Q:
    return FAILING & Q(failing_since__lte=timezone.now() - TOLD_AFTER)


class EndpointFilter(BoundedFilter):
    title = "state"
    parameter_name = "state"
    # There are few endpoints beside all else, so their table may be read as a whole.
    questions: ClassVar[Any] = {
        "failing": ("Failing, half-open or not", lambda rows: rows.filter(FAILING)),
        "failing_long": ("Failing for a day", lambda rows: rows.filter(failing_long())),
        "half_open": ("Half-open", lambda rows: rows.filter(HALF_OPEN)),
        "disabled": ("Disabled", lambda rows: rows.filter(status=Endpoint.Status.DISABLED)),
        "switched_off": ("Disabled by itself", lambda rows: rows.filter(SWITCHED_OFF)),
        "enabled": ("Enabled", lambda rows: rows.filter(status=Endpoint.Status.ENABLED)),
    }


@admin.register(Endpoint)
class EndpointAdmin(RecordAdmin[Endpoint]):
    list_display = [
        "url",
        labelled("state", of=state_of),
        "success_rate",
        "failing_since",
        "workspace",
        "event_types",
        "disabled_reason",
        "created_at",
    ]
    list_select_related = ["workspace"]
    list_filter = [EndpointFilter, BY_WORKSPACE]
    fields = [
        "url",
        ("workspace", "id"),
        ("event_types", "description"),
        ("filters", "header_names"),
        ("limit", "created_at"),
        "signatures",
    ]
    readonly_fields = ["filters", "limit", "signatures"]
    actions = ["enable", "disable", "send_test", "recover"]
    heads: ClassVar[Any] = [standing, last_hours, sections.last_failures]
    panels: ClassVar[Any] = [sections.last_deliveries, sections.recoveries]

    def find(self, term: str) -> Q:
        return super().find(term) | Q(url=term)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Endpoint]:
        there = super().get_queryset(request).filter(deleted_at=None)
        return there.defer("encrypted_keyring", "encrypted_headers")

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        shown = super().get_changelist_instance(request)
        # One query for the page; its rows are read here and kept.
        days = days_of(shown.result_list)
        for endpoint in shown.result_list:
            endpoint.day = days.get(endpoint.pk)
        return shown

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.recover_page)
        return [path("recover/", view, name="webhooks_endpoint_recover"), *super().get_urls()]

    def is_offered(self, action: str, record: Endpoint) -> bool:
        disabled = state_of(record) == State.DISABLED
        return {"enable": disabled, "disable": not disabled}.get(action, True)

    @admin.display(description="success in 24 h")
    def success_rate(self, endpoint: Any) -> str:
        return endpoint.day.rate if endpoint.day else ""

    @admin.display(description="only about")
    def filters(self, endpoint: Endpoint) -> str:
        kinds = {
            "domains": endpoint.domain_ids,
            "pods": endpoint.pod_ids,
            "inboxes": endpoint.inbox_ids,
        }
        named = [f"{kind} {', '.join(map(str, ids))}" for kind, ids in kinds.items() if ids]
        return "; ".join(named) or "everything"

    @admin.display(description="rate limit")
    def limit(self, endpoint: Endpoint) -> str:
        if endpoint.rate_limit is None:
            return "none"
        return f"{endpoint.rate_limit} requests a second"

    @admin.display(description="signatures")
    def signatures(self, endpoint: Endpoint) -> str:
        if not endpoint.public_key:
            return "v1"
        return f"v1, and v1a for {endpoint.public_key}"

    @admin.action(description="Enable", permissions=["operate"])
    def enable(self, request: HttpRequest, queryset: QuerySet[Endpoint]) -> None:
        self._set(request, queryset, Endpoint.Status.ENABLED)

    @admin.action(description="Disable", permissions=["operate"])
    def disable(self, request: HttpRequest, queryset: QuerySet[Endpoint]) -> None:
        self._set(request, queryset, Endpoint.Status.DISABLED)

    @admin.action(description="Send a test event", permissions=["operate"])
    def send_test(self, request: HttpRequest, queryset: QuerySet[Endpoint]) -> None:
        chosen = picked(queryset, "url")
        if len(chosen) != 1:
            # Each may take as long as a request may, and somebody waits for the page.
            self.message_user(request, "Choose one endpoint to test.", messages.WARNING)
            return
        sample = send_test.send_sample(Endpoint.objects.get(pk=chosen[0].pk))
        level = messages.SUCCESS if sample.succeeded else messages.ERROR
        self.message_user(request, _told(chosen[0], sample), level)

    @admin.action(description="Recover…", permissions=["operate"])
    def recover(
        self, request: HttpRequest, queryset: QuerySet[Endpoint]
    ) -> HttpResponseRedirect | None:
        """To the page that counts first."""
        chosen = picked(queryset, "failing_since", "disabled_at")
        if len(chosen) > AT_ONCE:
            text = f"Choose at most {AT_ONCE} endpoints: what is to be sent is counted for each."
            self.message_user(request, text, messages.WARNING)
            return None
        return HttpResponseRedirect(recover_url(chosen, missed_since(chosen)))

    def recover_page(self, request: HttpRequest) -> HttpResponse:
        return RecoverPage(self, request).response()

    def _set(self, request: HttpRequest, queryset: QuerySet[Endpoint], status: str) -> None:
        others = list(queryset.exclude(status=status).select_related("workspace"))
        for endpoint in others:
            services.update_endpoint(endpoint, {"status": status})
        self.say(request, len(others), status)
        if others and status == Endpoint.Status.ENABLED:
            self._offer_recovery(request, others)

    def _offer_recovery(self, request: HttpRequest, enabled: list[Endpoint]) -> None:
        """Enabling forgets since when they were disabled, so it is in the link."""
        since = missed_since(enabled)
        if since is not None and len(enabled) <= AT_ONCE:
            link = anchor(recover_url(enabled, since), "Recover what was missed")
            text = format_html("{} since {}.", link, f"{since:%Y-%m-%d %H:%M:%S}")
            self.message_user(request, text)


def _told(endpoint: Endpoint, sample: send_test.Sample) -> str:
    answer = f"it answered {sample.status_code}" if sample.status_code else sample.error
    text = f"{endpoint.url}: {answer} after {sample.latency_ms:,} ms."
    said = sample.response or (sample.message if not sample.succeeded else "")
    return f"{text} {said[:200]}" if said else text


alerts.append(
    lambda: Alert(
        "endpoints were switched off: they failed for five days, or are gone",
        bounded_count(Endpoint.objects.filter(SWITCHED_OFF, deleted_at=None)),
        list_url(Endpoint, state="switched_off"),
    )
)
alerts.append(
    lambda: Alert(
        "endpoints have been failing for more than a day",
        bounded_count(Endpoint.objects.enabled().filter(failing_long())),
        list_url(Endpoint, state="failing_long"),
    )
)
alerts.append(
    lambda: Alert(
        "endpoints are half-open: nobody answers there",
        bounded_count(Endpoint.objects.enabled().filter(HALF_OPEN)),
        list_url(Endpoint, state="half_open"),
    )
)
