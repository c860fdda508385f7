"""`operator_action`: asks how many rows to change, changes them, and records before and after.

@operator_action("Revoke", done="revoked", columns=["revoked_at"], on=lambda keys: keys.live(),
                 consequence="Requests with these keys fail from now on.")
def revoke(self, request: HttpRequest, keys: list[ApiKey]) -> int:
    return services.revoke_api_keys(keys)
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import wraps
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from core.admin import history

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin

    AnyAdmin = ModelAdmin[Any]
else:
    AnyAdmin = object

MAX_ROWS = 10_000  # rows per action, and rows that a filter matches at most
_NAMED = 10  # rows that a confirmation page lists
Rows = Any  # a QuerySet of the admin's model


@dataclass(frozen=True, slots=True)
class Outcome:
    """How many rows an action changed, and what else the operator should know."""

    count: int
    notes: Sequence[str] = field(default_factory=list)


def operator_action(
    description: str,
    *,
    done: str,
    consequence: str,
    columns: Sequence[str],
    on: Callable[[Rows], Rows] = lambda rows: rows,
) -> Callable[[Callable[..., Any]], Callable[..., HttpResponse | None]]:
    """Make a method of a RecordAdmin an action for those who may change its model.

    The method gets the chosen rows that fulfil `on`, at most MAX_ROWS, once the operator has
    confirmed their number. It runs in a transaction together with the LogEntry of each row, which
    has the values of `columns` before and after; so it must not wait for anything outside. It
    returns how many rows it changed, or an Outcome. `done` completes "3 API keys ...".
    """

    def decorate(method: Callable[..., Any]) -> Callable[..., HttpResponse | None]:
        @wraps(method)
        def act(owner: Any, request: HttpRequest, queryset: Rows) -> HttpResponse | None:
            rows = list(on(queryset)[:MAX_ROWS])
            if not rows:
                owner.report_count(request, 0, done)
                return None
            page: HttpResponse | None = owner.confirm(request, description, consequence, rows)
            if page is not None:
                return page
            keys = [row.pk for row in rows]
            with transaction.atomic():
                before = history.values_of(owner.model, keys, columns)
                returned = method(owner, request, rows)
                after = history.values_of(owner.model, keys, columns)
                history.record(request, description, rows, before, after)
            outcome = returned if isinstance(returned, Outcome) else Outcome(returned)
            if outcome.count or not outcome.notes:
                owner.report_count(request, outcome.count, done)
            for note in outcome.notes:
                owner.message_user(request, note, messages.INFO)
            return None

        act.on = on  # type: ignore[attr-defined]
        return admin.action(description=description, permissions=["operate"])(act)

    return decorate


class AsksFirst(AnyAdmin):
    """The pages before and after an action."""

    def confirm(
        self, request: HttpRequest, action: str, consequence: str, rows: Sequence[Model]
    ) -> HttpResponse | None:
        """A confirmation page that names the rows; None once their number is confirmed.

        Its form repeats the fields of the list's form, so the action gets the same rows. When it
        gets more of them than the page counted, it asks again.
        """
        count = len(rows)
        if "confirmed" in request.POST and count <= _number(request.POST.get("asked"), count):
            return None
        fields = ("action", "index", "select_across", "_selected_action", "record")
        again = [(name, value) for name in fields for value in request.POST.getlist(name)]
        context = {
            **self.admin_site.each_context(request),
            "title": f"{action}: {self.count_of(count)}?",
            "consequence": consequence,
            "names": [self.name_of(row) for row in rows[:_NAMED]],
            "unnamed": count - _NAMED if count > _NAMED else 0,
            "is_truncated": count == MAX_ROWS,
            "again": [*again, ("asked", str(count))],
            "back": request.get_full_path(),
            "cancel": self._record_url(request) or request.get_full_path(),
            "opts": self.opts,
        }
        return TemplateResponse(request, "core/admin/confirm.html", context)

    def name_of(self, row: Model) -> str:
        """As the confirmation page lists it."""
        return str(row)

    def count_of(self, count: int) -> str:
        """`1 API key`, `4,519 deliveries`."""
        noun = self.opts.verbose_name if count == 1 else self.opts.verbose_name_plural
        return f"{count:,} {noun}"

    def report_count(self, request: HttpRequest, count: int, done: str) -> None:
        """Show how many rows were affected: "3 emails will be sent now."."""
        level = messages.SUCCESS if count else messages.WARNING
        self.message_user(request, f"{self.count_of(count)} {done}.", level)

    def response_action(
        self, request: HttpRequest, queryset: QuerySet[Any, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse | None:
        """Redirect to the record after a record button, to the list after a list action."""
        response = super().response_action(request, queryset, *args, **kwargs)
        # An action that renders its own page has returned that page.
        if getattr(response, "url", "") != request.get_full_path():
            return response
        if url := self._record_url(request):
            return HttpResponseRedirect(url)
        return response

    def _record_url(self, request: HttpRequest) -> str:
        """The page whose button was pressed; "" for a list, or when the record is gone."""
        key = request.POST.get("record", "")
        if not key or self.get_object(request, key) is None:
            return ""
        return reverse(url_name(self.model, "change"), args=[key])


def url_name(model: type[Model], name: str) -> str:
    return f"admin:{model._meta.app_label}_{model._meta.model_name}_{name}"


def _number(text: str | None, default: int) -> int:
    return int(text) if text and text.isdecimal() else default
