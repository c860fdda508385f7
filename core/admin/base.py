"""Shared by all admin pages: fast read-only lists, panels, and buttons that call services.

A list must open at once on ten million rows. It is ordered by primary key (UUIDv7, so newest
first), counts no further than `COUNT_LIMIT`, and filters and searches only by indexed columns or
within a bounded number of rows.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar
from uuid import UUID

import orjson
from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timezone import now

from core import hooks
from core.admin import history
from core.admin.actions import MAX_ROWS, AsksFirst, url_name
from core.db import json_values

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin
    from django.contrib.admin import RelatedFieldListFilter as AutocompleteSelectFilter
else:
    from unfold.admin import ModelAdmin
    from unfold.contrib.filters.admin import AutocompleteSelectFilter

M = TypeVar("M", bound=Model)

COUNT_LIMIT = 10_000
_HISTORY_ROWS = 10
RECENT_ROWS = 50_000  # newest rows that a filter without an index scans
OVERDUE_AFTER = timedelta(minutes=2)  # longer than any lease except that of a domain check

# An autocomplete field rather than a list: there may be thousands of workspaces.
BY_WORKSPACE = ("workspace", AutocompleteSelectFilter)

# By status, of every model; "" is a neutral grey.
COLOURS = {
    "verified": "success",
    "delivered": "success",
    "success": "success",
    "enabled": "success",
    "processed": "success",
    "live": "success",
    "healthy": "success",
    "done": "success",
    "sent": "info",
    "sending": "info",
    "attempting": "info",
    "received": "info",
    "running": "info",
    "pending": "info",
    "scheduled": "info",
    "queued": "info",
    "not_started": "",
    "cancelled": "",
    "noted": "",
    "manual": "",
    "human": "success",
    "machine": "",
    "due": "info",
    "held": "warning",
    "delivery_delayed": "warning",
    "failing": "warning",
    "half-open": "warning",
    "soft_bounced": "warning",
    "unknown": "warning",
    "suppressed": "warning",
    "unmatched": "warning",
    "unsubscribed": "warning",
    "soft_bounces": "warning",
    "temporary_failure": "warning",
    "failed": "danger",
    "bounced": "danger",
    "complained": "danger",
    "quarantined": "danger",
    "ended early": "danger",
    "disabled": "danger",
    "revoked": "danger",
    "bounce": "danger",
    "complaint": "danger",
}


@dataclass(frozen=True, slots=True)
class Badge:
    """A status rendered as a coloured badge."""

    text: str

    @property
    def colour(self) -> str:
        return COLOURS.get(self.text, "")


class RecordPanel(Protocol):
    """A block on a record's page. Its template gets it as `panel`."""

    template: ClassVar[str]


@dataclass(frozen=True, slots=True)
class Panel:
    """A table below a record. `more` is the URL of the full list, if this is only its start."""

    template: ClassVar[str] = "core/admin/panel.html"

    title: str
    headers: Sequence[str]
    rows: Sequence[Sequence[Any]]
    more: str = ""
    empty: str = "None."


@dataclass(frozen=True, slots=True)
class Button:
    name: str
    description: str


class BoundedPaginator(Paginator[Any]):
    template_name = "core/admin/pagination.html"

    @cached_property
    def count(self) -> int:
        rows: QuerySet[Any] = self.object_list  # type: ignore[assignment]
        return min(rows.order_by()[: COUNT_LIMIT + 1].count(), COUNT_LIMIT)

    @property
    def is_truncated(self) -> bool:
        return self.count == COUNT_LIMIT


class RecordAdmin(AsksFirst, history.RecordsValues, ModelAdmin[M]):
    """Records are read-only: operators run actions on them but never add, edit or delete one."""

    ordering = ["-pk"]
    sortable_by = ()  # sorting by a column header would sort millions of rows
    paginator = BoundedPaginator
    show_full_result_count = False
    list_per_page = 50
    list_max_show_all = 0
    list_filter_submit = True
    list_fullwidth = True
    change_form_outer_before_template = "core/admin/head.html"
    change_form_outer_after_template: str | None = "core/admin/panels.html"
    # Each builds a panel for a record: `heads` above its fields, `panels` below. Apps of higher
    # layers add theirs below by ADMIN_SECTIONS in their hooks.
    top_panels: "ClassVar[Sequence[Callable[[Any], RecordPanel]]]" = ()
    bottom_panels: "ClassVar[Sequence[Callable[[Any], RecordPanel]]]" = ()
    search_fields = ["pk"]  # enables the search box; `find` builds the query
    search_help_text = "Full id"  # all that `find` takes
    # Indexed text columns that a search matches exactly.
    exact: ClassVar[Sequence[str]] = ()

    def has_add_permission(self, request: HttpRequest, *args: Any) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: M | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: M | None = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: M | None = None) -> bool:
        return super().has_view_permission(request, obj) or self.has_operate_permission(request)

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Django's change permission allows running actions."""
        name = f"{self.opts.app_label}.change_{self.opts.model_name}"
        return request.user.has_perm(name)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[M], search_term: str
    ) -> tuple[QuerySet[M], bool]:
        term = search_term.strip().replace("\x00", "")
        return (queryset.filter(self.find(term)) if term else queryset), False

    def find(self, term: str) -> Q:
        """The rows that match the search `term`, by indexed columns only."""
        matches = Q(pk__in=[])
        if (identifier := as_uuid(term)) is not None:
            matches |= Q(pk=identifier)
        for column in self.exact:
            matches |= Q(**{column: term})
        return matches

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        extra = extra_context or {}
        if record := self.get_object(request, object_id):
            extra = {
                "heads": [head(record) for head in self.top_panels],
                "panels": [
                    *(panel(record) for panel in (*self.bottom_panels, *self._foreign_panels())),
                    *self._history_panel(record),
                ],
                "buttons": self._buttons(request, record),
                "record": record,
                "list_url": list_url(self.model),
                **extra,
            }
        return super().change_view(request, object_id, form_url, extra)

    def is_available(self, action: str, record: M) -> bool:
        """Whether the action would change the record in its current state."""
        on = getattr(getattr(self, action), "on", None)
        return on is None or on(self.model._default_manager.filter(pk=record.pk)).exists()

    def _history_panel(self, record: M) -> list[Panel]:
        newest = list(history.entries_of(record)[:_HISTORY_ROWS])
        if not newest:
            return []
        url = reverse(url_name(self.model, "history"), args=[record.pk])
        rows = [history.row_of(each) for each in newest]
        return [Panel("History", history.HEADERS, rows, more=url)]

    def _foreign_panels(self) -> list[Callable[[Any], RecordPanel]]:
        label = self.model._meta.label
        return [panel for model, panel in hooks.collect("ADMIN_SECTIONS") if model == label]

    def _buttons(self, request: HttpRequest, record: M) -> list[Button]:
        actions = self.get_actions(request)
        return [
            Button(name, str(action[2]))
            for name, action in actions.items()
            if action and self.is_available(name, record)
        ]


class BoundedFilter(admin.SimpleListFilter):
    """Operational filters ("overdue", "failed"), served by an index, for up to MAX_ROWS rows."""

    conditions: "ClassVar[dict[str, tuple[str, Callable[[QuerySet[Any]], QuerySet[Any]]]]]" = {}

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, title) for name, (title, _) in self.conditions.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        question = self.conditions.get(self.value() or "")
        if question is None:
            return queryset
        rows = queryset.model._default_manager.all()
        # The LIMIT makes the planner run the inner query first, by its own index.
        return queryset.filter(pk__in=question[1](rows).values("pk")[:MAX_ROWS])


class WorkFilter(BoundedFilter):
    title = "work"
    parameter_name = "work"

    conditions: ClassVar[Any] = {
        "overdue": ("Overdue", lambda rows: overdue(rows)),
        "due": ("Due", lambda rows: rows.filter(next_attempt_at__lte=now())),
        "exhausted": (
            "Crashed repeatedly",
            lambda rows: rows.filter(next_attempt_at__isnull=False, crashes__gte=2),
        ),
    }


def overdue(rows: "QuerySet[Any]") -> "QuerySet[Any]":
    return rows.filter(next_attempt_at__lt=now() - OVERDUE_AFTER).order_by("next_attempt_at")


def among_newest(rows: "QuerySet[Any]", condition: Q) -> "QuerySet[Any]":
    """The newest rows that match a condition without an index."""
    newest = rows.order_by("-pk").values("pk")[:RECENT_ROWS]
    return rows.filter(condition, pk__in=newest).order_by("-pk")


def badge_column(
    column: str, title: str = "", *, value: Callable[[Any], str] | None = None
) -> Callable[[Any], str]:
    """A list column of coloured badges; `value` computes what no model field holds."""

    def show(record: Any) -> str:
        return str(value(record) if value else getattr(record, column))

    show.label = COLOURS  # type: ignore[attr-defined]
    show.short_description = title or column.replace("_", " ")  # type: ignore[attr-defined]
    show.__name__ = f"badge_{column}"
    return show


def number_column(column: str, title: str) -> Callable[[Any], str]:
    """A column of a float: three digits are enough for people, as in `0.05`, `14`, `50,000`."""

    def show(record: Any) -> str:
        return format_number(getattr(record, column))

    show.short_description = title  # type: ignore[attr-defined]
    show.__name__ = f"number_{column}"
    return show


def format_number(value: float | None) -> str:
    if value is None:
        return ""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{round(value, 3) + 0.0:.3g}"  # + 0.0: no negative zero


def due_count(count: int) -> str:
    return f"{count:,}+" if count >= COUNT_LIMIT else f"{count:,}"


def bounded_count(rows: "QuerySet[Any]") -> int:
    return rows.order_by()[:COUNT_LIMIT].count()


def format_duration(length: timedelta) -> str:
    """A duration in the largest unit that keeps two digits: `14 s`, `95 min`, `30 h`, `4 days`."""
    seconds = length.total_seconds()
    for unit, size in (("s", 1), ("min", 60), ("h", 3600)):
        if seconds < 100 * size:
            return f"{seconds // size:.0f} {unit}"
    return f"{length.days} days"


def list_url(model: type[Model], **parameters: str) -> str:
    query = "&".join(f"{name}={value}" for name, value in parameters.items())
    url = reverse(url_name(model, "changelist"))
    return f"{url}?{query}" if query else url


def link(record: Model, text: str = "") -> SafeString:
    url = reverse(url_name(type(record), "change"), args=[record.pk])
    return anchor(url, text or str(record))


def anchor(url: str, text: str) -> SafeString:
    return format_html(
        '<a class="text-primary-600 dark:text-primary-500 hover:underline" href="{}">{}</a>',
        url,
        text,
    )


def json_block(value: Any) -> SafeString:
    """JSON as an indented code block; text that is not JSON unchanged."""
    if isinstance(value, str):
        try:
            value = json_values.loads(value)
        except ValueError:
            return _code_block(value)
    return _code_block(json_values.dumps(value, orjson.OPT_INDENT_2).decode())


def collapsible(summary: str, value: Any) -> SafeString:
    return format_html(
        '<details><summary class="cursor-pointer">{}</summary>{}</details>',
        summary,
        json_block(value),
    )


def as_uuid(term: str) -> UUID | None:
    try:
        return UUID(term.strip().removeprefix("whd_"))
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class Alert:
    """A condition that needs an operator's attention; `count` is capped at COUNT_LIMIT."""

    text: str
    count: int
    url: str
    severity: str = "warning"
    one: str = ""  # the text for a count of one, if that differs

    @property
    def sentence(self) -> str:
        return self.one if self.one and self.count == 1 else self.text

    @property
    def shown(self) -> str:
        return due_count(self.count)


def _code_block(text: str) -> SafeString:
    return format_html('<pre class="opensend-code">{}</pre>', text)
