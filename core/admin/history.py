"""What operators changed: a LogEntry for each row, with its values before and after."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from django.contrib.admin.models import ADDITION, CHANGE, DELETION, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin

    AnyAdmin = ModelAdmin[Any]
else:
    AnyAdmin = object

Values = Mapping[str, Any]

HEADERS = ["At", "Operator", "Action", "Changes"]
_BATCH = 1_000
_WORDS = {ADDITION: "Add", CHANGE: "Change", DELETION: "Delete"}
_HIDDEN = "password"  # in the name of a form field


def values_of(
    model: type[Model], keys: Sequence[Any], columns: Sequence[str]
) -> dict[Any, dict[str, Any]]:
    """The columns of the rows that exist, by primary key; one query.

    `workspace__name` is recorded as `workspace`.
    """
    rows = model._base_manager.filter(pk__in=keys).values_list("pk", *columns)
    names = [column.partition("__")[0] for column in columns]
    return {key: dict(zip(names, values, strict=True)) for key, *values in rows}


def record(
    request: HttpRequest,
    action: str,
    rows: Sequence[Model],
    before: Mapping[Any, Values],
    after: Mapping[Any, Values],
) -> None:
    """Write a LogEntry for each row. A row that `after` lacks was deleted."""
    if not rows:
        return
    operator = request.user.pk
    assert operator is not None
    kind = ContentType.objects.get_for_model(rows[0], for_concrete_model=False)
    entries = [
        LogEntry(
            user_id=operator,
            content_type=kind,
            object_id=str(row.pk),
            object_repr=str(row)[:200],
            action_flag=CHANGE if row.pk in after else DELETION,
            change_message=_message(action, row, before.get(row.pk), after.get(row.pk)),
        )
        for row in rows
    ]
    LogEntry.objects.bulk_create(entries, batch_size=_BATCH)


def entries_of(row: Model) -> "QuerySet[LogEntry]":
    """The newest first, by the index `admin_log_of_object`."""
    kind = ContentType.objects.get_for_model(row, for_concrete_model=False)
    entries = LogEntry.objects.filter(content_type=kind, object_id=str(row.pk))
    return entries.select_related("user").order_by("-action_time", "-pk")


def action_of(entry: LogEntry) -> str:
    return str(_part(entry).get("action") or _WORDS[entry.action_flag])


def changes_of(entry: LogEntry) -> SafeString:
    """One line per value that changed: `status: enabled → disabled`."""
    part = _part(entry)
    before, after = part.get("before") or {}, part.get("after") or {}
    names = [name for name in before | after if before.get(name) != after.get(name)]
    lines = [(name, _shown(before.get(name)), _shown(after.get(name))) for name in names]
    if lines:
        return format_html_join("", "<div>{}: {} → {}</div>", lines)
    # Entries of Django's own forms name their fields only.
    message = entry.get_change_message() if "before" not in part else ""
    return format_html_join("", "<div>{}</div>", [(message or "No value changed.",)])


def row_of(entry: LogEntry) -> list[Any]:
    """As a row under HEADERS."""
    return [entry.action_time, entry.user.get_username(), action_of(entry), changes_of(entry)]


class RecordsValues(AnyAdmin):
    """Shows the history of an object with the values before and after, also those of forms.

    Passwords are left out.
    """

    object_history_template = "core/admin/history.html"

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        response = super().history_view(request, object_id, extra_context)
        if isinstance(response, TemplateResponse) and response.context_data is not None:
            rows = [row_of(entry) for entry in response.context_data["action_list"]]
            panel = {"title": "History", "headers": HEADERS, "rows": rows, "empty": "None yet."}
            response.context_data["panel"] = panel
        return response

    def construct_change_message(
        self, request: HttpRequest, form: Any, formsets: Any, add: bool = False
    ) -> list[Any]:
        message = list(super().construct_change_message(request, form, formsets, add))
        fields = [name for name in form.changed_data if _HIDDEN not in name]
        if not message or not fields:
            return message
        before = {} if add else {name: form.initial.get(name) for name in fields}
        after = {name: form.cleaned_data.get(name) for name in fields}
        message[0] |= {"before": _plain(before), "after": _plain(after)}
        return message


def _message(action: str, row: Model, before: Values | None, after: Values | None) -> str:
    values = {"action": action, "before": _plain(before or {}), "after": _plain(after or {})}
    if after is None:
        name = {"name": str(row._meta.verbose_name), "object": str(row)}
        return json.dumps([{"deleted": name, **values}])
    fields = [name for name, value in after.items() if (before or {}).get(name) != value]
    return json.dumps([{"changed": {"fields": fields}, **values}])


def _plain(values: Values) -> dict[str, Any]:
    return {name: _plain_value(value) for name, value in values.items()}


def _plain_value(value: Any) -> Any:
    """As JSON has it; of rows that a form chose, their names."""
    if isinstance(value, Model):
        return str(value)
    if isinstance(value, QuerySet | list | tuple | set):
        return [_plain_value(each) for each in value]
    return json.loads(json.dumps(value, cls=DjangoJSONEncoder))


def _part(entry: LogEntry) -> dict[str, Any]:
    try:
        parts = json.loads(entry.change_message or "[]")
    except json.JSONDecodeError:
        return {}
    first = parts[0] if isinstance(parts, list) and parts else {}
    return first if isinstance(first, dict) else {}


def _shown(value: Any) -> str:
    if value is None or value == "" or value == []:
        return "(empty)"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(value)
