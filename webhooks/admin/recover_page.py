"""The admin page that counts what a recovery would send, and starts it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone

from core.admin import history
from core.admin.base import Badge, Panel, RecordAdmin, as_uuid, link, list_url
from core.errors import DomainError
from webhooks import replay
from webhooks.endpoint_status import State, missed_since, state_of
from webhooks.models import Endpoint, Recovery

MAX_ENDPOINTS = 20  # because deliveries are counted for each
_DEFAULT_SPAN = timedelta(hours=24)  # when it is unknown since when events were missed
_FORMAT = "%Y-%m-%dT%H:%M:%S"


class BrowserDateTimeInput(forms.DateTimeInput):
    """The browser's native date and time field, to the second."""

    input_type = "datetime-local"

    def __init__(self) -> None:
        super().__init__(attrs={"step": "1", "class": "opensend-input"}, format=_FORMAT)


class SpanForm(forms.Form):
    since = forms.DateTimeField(label="Since (UTC)", widget=BrowserDateTimeInput)
    until = forms.DateTimeField(
        label="Until (UTC; empty means now)", widget=BrowserDateTimeInput, required=False
    )
    only = forms.ChoiceField(
        label="Events",
        choices=[
            (Recovery.Only.FAILED.value, "Failed and missed events"),
            (Recovery.Only.ALL.value, "All events, including delivered ones"),
        ],
        widget=forms.Select(attrs={"class": "opensend-input"}),
    )

    def clean_until(self) -> datetime:
        now = timezone.now()
        until: datetime = self.cleaned_data["until"] or now
        if until > now:
            raise forms.ValidationError("Must not be in the future.")
        return until

    def clean(self) -> dict[str, Any]:
        given = super().clean() or self.cleaned_data
        if {"since", "until"} <= given.keys() and given["since"] >= given["until"]:
            self.add_error("since", "Must be before the end of the span.")
        return given


@dataclass(frozen=True, slots=True)
class DeliveryCount:
    endpoint: Endpoint
    count: int

    @property
    def is_disabled(self) -> bool:
        return state_of(self.endpoint) == State.DISABLED

    @property
    def text(self) -> str:
        return _total([self])


class RecoverPage:
    """GET counts the deliveries of the span, POST starts the recovery of that span."""

    template: ClassVar[str] = "webhooks/admin/recover.html"

    def __init__(self, owner: RecordAdmin[Endpoint], request: HttpRequest) -> None:
        if not owner.has_operate_permission(request):
            raise PermissionDenied
        given = (request.POST if request.method == "POST" else request.GET).dict()
        self.owner, self.request, self.ids = owner, request, str(given.get("ids", ""))
        self.endpoints = self._endpoints()
        self.form = SpanForm(self._defaults() | given)

    def response(self) -> HttpResponse:
        span = self.form.cleaned_data if self.form.is_valid() else None
        if span and self.request.method == "POST":
            for endpoint in self.endpoints:
                self._start(endpoint, span)
            return HttpResponseRedirect(self._back)
        return TemplateResponse(self.request, self.template, self._context(span))

    def _endpoints(self) -> list[Endpoint]:
        ids = [identifier for each in self.ids.split(",") if (identifier := as_uuid(each))]
        endpoints = list(self.owner.get_queryset(self.request).filter(pk__in=ids[:MAX_ENDPOINTS]))
        if not endpoints:
            raise Http404("There is no such endpoint.")
        return endpoints

    def _defaults(self) -> dict[str, str]:
        since = missed_since(self.endpoints) or timezone.now() - _DEFAULT_SPAN
        return {"since": since.strftime(_FORMAT), "only": Recovery.Only.FAILED.value}

    @property
    def _back(self) -> str:
        if len(self.endpoints) > 1:
            return list_url(Endpoint)
        return reverse("admin:webhooks_endpoint_change", args=[self.endpoints[0].pk])

    def _start(self, endpoint: Endpoint, span: dict[str, Any]) -> None:
        try:
            with transaction.atomic():
                recovery = replay.start_recovery(endpoint, **span)
                started = {"recovery": str(recovery), "deliveries": recovery.recovered}
                history.record(self.request, "Recover", [endpoint], {}, {endpoint.pk: started})
        except DomainError as error:
            self._show_message(messages.ERROR, endpoint, error.message)
            return
        running = recovery.next_attempt_at is not None
        so_far = " so far; the rest follows in the background" if running else ""
        count = recovery.recovered
        noun = "delivery" if count == 1 else "deliveries"
        self._show_message(messages.SUCCESS, endpoint, f"{count:,} {noun} sent again{so_far}.")

    def _show_message(self, level: int, endpoint: Endpoint, text: str) -> None:
        messages.add_message(self.request, level, f"{endpoint.url}: {text}")

    def _context(self, span: dict[str, Any] | None) -> dict[str, Any]:
        context = {
            **self.owner.admin_site.each_context(self.request),
            "title": "Recover",
            "opts": self.owner.opts,
            "form": self.form,
            "ids": self.ids,
            "back": self._back,
        }
        if span is None:
            return context
        counts = [DeliveryCount(each, replay.count(each, **span)) for each in self.endpoints]
        sendable = [each for each in counts if not each.is_disabled]
        return context | {
            "span": {
                **span,
                "since": span["since"].isoformat(),
                "until": span["until"].isoformat(),
            },
            "panel": _table(counts),
            "total": _total(sendable),
            "any_disabled": len(sendable) < len(counts),
        }


def _total(counts: list[DeliveryCount]) -> str:
    more = " or more" if any(each.count >= replay.COUNT_LIMIT for each in counts) else ""
    return f"{sum(each.count for each in counts):,}{more}"


def _table(counts: list[DeliveryCount]) -> Panel:
    rows = [
        [
            link(each.endpoint, each.endpoint.url),
            Badge(state_of(each.endpoint)),
            f"{each.text}, once it is enabled" if each.is_disabled else each.text,
        ]
        for each in counts
    ]
    return Panel("Deliveries to send again", ["Endpoint", "State", "Deliveries"], rows)
