"""Sending domains, and what their owners are to publish."""

from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest

from core.admin_base import (
    BY_WORKSPACE,
    BoundedFilter,
    Label,
    Panel,
    RecordAdmin,
    labelled,
    picked,
)
from domains import services
from domains.models import DnsRecord, Domain


class DomainFilter(BoundedFilter):
    title = "state"
    parameter_name = "state"
    # There are few domains beside all else, so their table may be read as a whole.
    questions: ClassVar[Any] = {
        "unverified": ("Not verified", lambda rows: rows.exclude(status="verified")),
        "verified": ("Verified", lambda rows: rows.filter(status="verified")),
        "troubled": ("SES did not answer well", lambda rows: rows.exclude(reason="")),
        "leaving": ("Being removed", lambda rows: rows.exclude(deleted_at=None)),
    }


@admin.register(Domain)
class DomainAdmin(RecordAdmin[Domain]):
    list_display = [
        "name",
        labelled("status"),
        "workspace",
        "region",
        "verified_at",
        "next_attempt_at",
        "reason",
    ]
    list_select_related = ["workspace"]
    list_filter = [DomainFilter, BY_WORKSPACE]
    actions = ["check_now"]
    panels: ClassVar[Any] = []

    def find(self, term: str) -> Q:
        return super().find(term) | Q(name=term.lower())

    @admin.action(description="Check at SES now", permissions=["operate"])
    def check_now(self, request: HttpRequest, queryset: QuerySet[Domain]) -> None:
        self.say(request, services.check_now(picked(queryset)), "will be checked now")


@admin.register(DnsRecord)
class DnsRecordAdmin(RecordAdmin[DnsRecord]):
    list_display = ["name", "type", "value", labelled("status"), "domain"]
    list_select_related = ["domain"]

    def find(self, term: str) -> Q:
        return super().find(term) | Q(domain__name=term.lower())


def _records(domain: Domain) -> Panel:
    rows = [
        [record.type, record.name, record.value, Label(record.status)]
        for record in domain.records.order_by("pk")[:50]
    ]
    return Panel("DNS records", ["Type", "Name", "Value", "Status"], rows)


DomainAdmin.panels.append(_records)
