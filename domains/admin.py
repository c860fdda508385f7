"""Sending domains and the DNS records their owners must publish."""

from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest

from core.admin.actions import operator_action
from core.admin.base import (
    BY_WORKSPACE,
    Badge,
    BoundedFilter,
    Panel,
    RecordAdmin,
    badge_column,
)
from domains import services
from domains.models import DnsRecord, Domain
from domains.providers import label, require_available

if TYPE_CHECKING:
    from django.forms import CheckboxInput as Checkbox
    from django.forms import Select
else:
    from unfold.widgets import UnfoldAdminSelectWidget as Select
    from unfold.widgets import UnfoldBooleanWidget as Checkbox

SETTINGS = ["provider", "open_tracking", "click_tracking"]


class DomainFilter(BoundedFilter):
    title = "state"
    parameter_name = "state"
    # There are few domains, so scanning the whole table is cheap.
    conditions: ClassVar[Any] = {
        "unverified": ("Not verified", lambda rows: rows.exclude(status="verified")),
        "verified": ("Verified", lambda rows: rows.filter(status="verified")),
        "troubled": ("Last SES check failed", lambda rows: rows.exclude(reason="")),
        "leaving": ("Being removed", lambda rows: rows.exclude(deleted_at=None)),
    }


class SettingsForm(forms.ModelForm[Domain]):
    """Saves only fields changed since the page was opened, to keep concurrent changes by others."""

    provider = forms.ChoiceField(
        label="Provider",
        choices=[(name, label(name)) for name in ("", *Domain.Provider.values)],
        required=False,
        show_hidden_initial=True,
        widget=Select,
    )
    open_tracking = forms.BooleanField(
        label="Track opens", required=False, show_hidden_initial=True, widget=Checkbox
    )
    click_tracking = forms.BooleanField(
        label="Track clicks", required=False, show_hidden_initial=True, widget=Checkbox
    )

    class Meta:
        model = Domain
        fields = SETTINGS

    def clean_provider(self) -> str:
        chosen: str = self.cleaned_data["provider"]
        try:
            return require_available(chosen) if "provider" in self.changed_data else chosen
        except ValueError as error:
            raise forms.ValidationError(f"This {error}.") from None


def _records_panel(domain: Domain) -> Panel:
    rows = [
        [record.type, record.name, record.value, Badge(record.status)]
        for record in domain.records.order_by("pk")[:50]
    ]
    return Panel("DNS records", ["Type", "Name", "Value", "Status"], rows)


@admin.register(Domain)
class DomainAdmin(RecordAdmin[Domain]):
    list_display = [
        "name",
        badge_column("status"),
        "workspace",
        "region",
        "verified_at",
        "next_attempt_at",
        "reason",
    ]
    list_select_related = ["workspace"]
    list_filter = [DomainFilter, BY_WORKSPACE]
    actions = ["check_now"]
    form = SettingsForm
    bottom_panels: ClassVar[Any] = (_records_panel,)
    search_help_text = "Full domain name or id"

    def find(self, term: str) -> Q:
        return super().find(term) | Q(name=term.lower())

    def has_change_permission(self, request: HttpRequest, obj: Domain | None = None) -> bool:
        is_being_deleted = obj is not None and obj.deleted_at is not None
        return self.has_operate_permission(request) and not is_being_deleted

    def get_fields(self, request: HttpRequest, obj: Domain | None = None) -> Any:
        can_change = self.has_change_permission(request, obj)
        settings = SETTINGS if can_change else ["provider_label", *SETTINGS[1:]]
        return [*settings, *self.get_readonly_fields(request, obj)]

    def get_readonly_fields(self, request: HttpRequest, obj: Domain | None = None) -> Any:
        return [field.name for field in self.opts.fields if field.name not in SETTINGS]

    def save_model(self, request: HttpRequest, obj: Domain, form: Any, change: bool) -> None:
        changes = {name: form.cleaned_data[name] for name in form.changed_data}
        services.update_domain(obj, changes)

    @admin.display(description="provider")
    def provider_label(self, domain: Domain) -> str:
        return label(domain.provider)

    @operator_action(
        "Check status at SES now",
        done="will be checked now",
        consequence="A worker asks SES about each, and the status follows what SES answers.",
        columns=["next_attempt_at"],
    )
    def check_now(self, request: HttpRequest, domains: list[Domain]) -> int:
        return services.check_now(domains)


@admin.register(DnsRecord)
class DnsRecordAdmin(RecordAdmin[DnsRecord]):
    list_display = ["name", "type", "value", badge_column("status"), "domain"]
    list_select_related = ["domain"]
    search_help_text = "Full domain name or id"

    def find(self, term: str) -> Q:
        return super().find(term) | Q(domain__name=term.lower())
