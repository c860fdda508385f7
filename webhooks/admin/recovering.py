"""The page from which endpoints are sent again what they missed: it counts before it asks."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone

from core.admin.base import Label, Panel, RecordAdmin, as_uuid, link, list_url
from core.errors import DomainError
from webhooks import replay
from webhooks.endpoint_status import State, missed_since, state_of
from webhooks.models import Endpoint, Recovery

AT_ONCE = 20  # endpoints, because each is counted
_LOOKED_BACK = timedelta(hours=24)  # where no row tells since when events were missed
_FORMAT = "%Y-%m-%dT%H:%M:%S"


class Moment(forms.DateTimeInput):
    """A browser's own field for a time, to the second."""

    input_type = "datetime-local"

    def __init__(self) -> None:
        super().__init__(attrs={"step": "1", "class": "opensend-input"}, format=_FORMAT)


class SpanForm(forms.Form):
    since = forms.DateTimeField(label="Since (UTC)", widget=Moment)
    until = forms.DateTimeField(label="Until (UTC; now, when empty)", widget=Moment, required=False)
    only = forms.ChoiceField(
        label="What",
        choices=[
            (Recovery.Only.FAILED.value, "What failed, and what was missed"),
            (Recovery.Only.ALL.value, "Everything, also what was received"),
        ],
        widget=forms.Select(attrs={"class": "opensend-input"}),
    )

    def clean_until(self) -> datetime:
        now = timezone.now()
        until: datetime = self.cleaned_data["until"] or now
        if until > now:
            raise forms.ValidationError("It must not be in the future.")
        return until

    def clean(self) -> dict[str, Any]:
        given = super().clean() or self.cleaned_data
        if {"since", "until"} <= given.keys() and given["since"] >= given["until"]:
            self.add_error("since", "It must be before the end.")
        return given


@dataclass(frozen=True, slots=True)
class Counted:
    endpoint: Endpoint
    count: int

    @property
    def is_disabled(self) -> bool:
        return state_of(self.endpoint) == State.DISABLED

    @property
    def shown(self) -> str:
        return _number([self])


class RecoverPage:
    """GET counts what the span would send, POST starts just that."""

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
        ids = [known for each in self.ids.split(",") if (known := as_uuid(each))]
        found = list(self.owner.get_queryset(self.request).filter(pk__in=ids[:AT_ONCE]))
        if not found:
            raise Http404("There is no such endpoint.")
        return found

    def _defaults(self) -> dict[str, str]:
        since = missed_since(self.endpoints) or timezone.now() - _LOOKED_BACK
        return {"since": since.strftime(_FORMAT), "only": Recovery.Only.FAILED.value}

    @property
    def _back(self) -> str:
        if len(self.endpoints) > 1:
            return list_url(Endpoint)
        return reverse("admin:webhooks_endpoint_change", args=[self.endpoints[0].pk])

    def _start(self, endpoint: Endpoint, span: dict[str, Any]) -> None:
        try:
            recovery = replay.start_recovery(endpoint, **span)
        except DomainError as error:
            self._say(messages.ERROR, endpoint, error.message)
            return
        running = recovery.next_attempt_at is not None
        so_far = " so far; the rest follows" if running else ""
        count = recovery.recovered
        noun = "delivery" if count == 1 else "deliveries"
        self._say(messages.SUCCESS, endpoint, f"{count:,} {noun} sent again{so_far}.")

    def _say(self, level: int, endpoint: Endpoint, text: str) -> None:
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
        counted = [Counted(each, replay.count(each, **span)) for each in self.endpoints]
        sendable = [each for each in counted if not each.is_disabled]
        return context | {
            "span": {
                **span,
                "since": span["since"].isoformat(),
                "until": span["until"].isoformat(),
            },
            "panel": _table(counted),
            "total": _number(sendable),
            "any_disabled": len(sendable) < len(counted),
        }


def _number(counted: list[Counted]) -> str:
    more = " or more" if any(each.count >= replay.COUNTED for each in counted) else ""
    return f"{sum(each.count for each in counted):,}{more}"


def _table(counted: list[Counted]) -> Panel:
    rows = [
        [
            link(each.endpoint, each.endpoint.url),
            Label(state_of(each.endpoint)),
            f"{each.shown}, once it is enabled" if each.is_disabled else each.shown,
        ]
        for each in counted
    ]
    return Panel("What would be sent again", ["Endpoint", "State", "Deliveries"], rows)
