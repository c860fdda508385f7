"""Admin pages for endpoints: their status, and actions for operators."""

from collections.abc import Iterator
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.html import format_html

from core.admin import history
from core.admin.actions import Outcome, operator_action
from core.admin.base import (
    BY_WORKSPACE,
    BoundedFilter,
    RecordAdmin,
    anchor,
    badge_column,
)
from core.server.waits import TooManyWaits
from webhooks import send_test, services
from webhooks.admin import sections
from webhooks.admin.recover_page import MAX_ENDPOINTS, RecoverPage
from webhooks.endpoint_status import (
    AUTO_DISABLED,
    FAILING,
    HALF_OPEN,
    missed_since,
    recover_url,
    state_of,
    status_panel,
)
from webhooks.health import NOTIFY_AFTER
from webhooks.hourly_stats import last_day_totals, last_hours
from webhooks.models import Endpoint

SEND_TEST = "Send a test event"
_TEST_CONSEQUENCE = "A signed example event is sent to its URL now."
# What an action changes of an endpoint.
_STATE = ("status", "disabled_reason", "disabled_at", "failing_since", "failures_in_a_row")


def failing_long() -> Q:
    return FAILING & Q(failing_since__lte=timezone.now() - NOTIFY_AFTER)


class EndpointFilter(BoundedFilter):
    title = "state"
    parameter_name = "state"
    # The endpoints table is small enough for sequential scans.
    conditions: ClassVar[Any] = {
        "failing": ("Failing, including half-open", lambda rows: rows.filter(FAILING)),
        "failing_long": ("Failing for a day", lambda rows: rows.filter(failing_long())),
        "half_open": ("Half-open", lambda rows: rows.filter(HALF_OPEN)),
        "disabled": ("Disabled", lambda rows: rows.filter(status=Endpoint.Status.DISABLED)),
        "switched_off": ("Disabled automatically", lambda rows: rows.filter(AUTO_DISABLED)),
        "enabled": ("Enabled", lambda rows: rows.filter(status=Endpoint.Status.ENABLED)),
    }


@admin.register(Endpoint)
class EndpointAdmin(RecordAdmin[Endpoint]):
    list_display = [
        "url",
        badge_column("state", value=state_of),
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
    top_panels: ClassVar[Any] = (status_panel, last_hours, sections.last_failures)
    bottom_panels: ClassVar[Any] = (sections.last_deliveries, sections.recoveries)
    search_help_text = "Full URL or id"

    def find(self, term: str) -> Q:
        return super().find(term) | Q(url=term)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Endpoint]:
        rows = super().get_queryset(request).filter(deleted_at=None)
        return rows.defer("encrypted_keyring", "encrypted_headers")

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        changelist = super().get_changelist_instance(request)
        # One query for the whole page.
        totals = last_day_totals(changelist.result_list)
        for endpoint in changelist.result_list:
            endpoint.day = totals.get(endpoint.pk)
        return changelist

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.recover_page)
        return [path("recover/", view, name="webhooks_endpoint_recover"), *super().get_urls()]

    @admin.display(description="success in 24 h")
    def success_rate(self, endpoint: Any) -> str:
        return endpoint.day.rate if endpoint.day else ""

    @admin.display(description="filters")
    def filters(self, endpoint: Endpoint) -> str:
        filters = {
            "domains": endpoint.domain_ids,
            "pods": endpoint.pod_ids,
            "inboxes": endpoint.inbox_ids,
        }
        active = [f"{name} {', '.join(map(str, ids))}" for name, ids in filters.items() if ids]
        return "; ".join(active) or "none"

    @admin.display(description="rate limit")
    def limit(self, endpoint: Endpoint) -> str:
        if endpoint.rate_limit is None:
            return "none"
        return f"{endpoint.rate_limit} requests per second"

    @admin.display(description="signatures")
    def signatures(self, endpoint: Endpoint) -> str:
        if not endpoint.public_key:
            return "v1"
        return f"v1, and v1a for {endpoint.public_key}"

    @operator_action(
        "Enable",
        done="enabled",
        consequence="Events are sent to them again. What they missed is not sent by itself.",
        columns=_STATE,
        on=lambda rows: rows.filter(status=Endpoint.Status.DISABLED),
    )
    def enable(self, request: HttpRequest, endpoints: list[Endpoint]) -> Outcome:
        return Outcome(
            _set(endpoints, Endpoint.Status.ENABLED), notes=list(_recovery_offer(endpoints))
        )

    @operator_action(
        "Disable",
        done="disabled",
        consequence="Nothing is sent to them, and their pending deliveries fail.",
        columns=_STATE,
        on=lambda rows: rows.filter(status=Endpoint.Status.ENABLED),
    )
    def disable(self, request: HttpRequest, endpoints: list[Endpoint]) -> int:
        return _set(endpoints, Endpoint.Status.DISABLED)

    @admin.action(description=SEND_TEST, permissions=["operate"])
    def send_test(self, request: HttpRequest, queryset: QuerySet[Endpoint]) -> HttpResponse | None:
        """No transaction is open while the endpoint responds, unlike in an `operator_action`."""
        chosen = list(queryset[:2])
        if len(chosen) != 1:
            # Each may take until the request timeout, while the operator waits for the page.
            self.message_user(request, "Choose one endpoint to test.", messages.WARNING)
            return None
        if page := self.confirm(request, SEND_TEST, _TEST_CONSEQUENCE, chosen):
            return page
        try:
            sent = send_test.send_test_event(Endpoint.objects.get(pk=chosen[0].pk))
        except TooManyWaits as error:
            self.message_user(request, error.message, messages.WARNING)
            return None
        level = messages.SUCCESS if sent.succeeded else messages.ERROR
        text = _test_message(chosen[0], sent)
        history.record(request, SEND_TEST, chosen, {}, {chosen[0].pk: {"result": text}})
        self.message_user(request, text, level)
        return None

    @admin.action(description="Recover…", permissions=["operate"])
    def recover(
        self, request: HttpRequest, queryset: QuerySet[Endpoint]
    ) -> HttpResponseRedirect | None:
        """Redirect to the recover page, which counts before it starts anything."""
        chosen = list(queryset[: MAX_ENDPOINTS + 1])
        if len(chosen) > MAX_ENDPOINTS:
            text = f"Choose at most {MAX_ENDPOINTS} endpoints: deliveries are counted for each."
            self.message_user(request, text, messages.WARNING)
            return None
        return HttpResponseRedirect(recover_url(chosen, missed_since(chosen)))

    def recover_page(self, request: HttpRequest) -> HttpResponse:
        return RecoverPage(self, request).response()


def _set(endpoints: list[Endpoint], status: str) -> int:
    for endpoint in endpoints:
        services.update_endpoint(endpoint, {"status": status})
    return len(endpoints)


def _recovery_offer(enabled: list[Endpoint]) -> Iterator[str]:
    """The link carries the start of the span, because enabling clears `disabled_at`."""
    since = missed_since(enabled)
    if since is not None and len(enabled) <= MAX_ENDPOINTS:
        link = anchor(recover_url(enabled, since), "Recover what was missed")
        yield format_html("{} since {}.", link, f"{since:%Y-%m-%d %H:%M:%S}")


def _test_message(endpoint: Endpoint, sent: send_test.SentTestEvent) -> str:
    result = f"responded with {sent.status_code}" if sent.status_code else sent.error
    text = f"{endpoint.url}: {result} after {sent.latency_ms:,} ms."
    detail = sent.response or (sent.message if not sent.succeeded else "")
    return f"{text} {detail[:200]}" if detail else text
