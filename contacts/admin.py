"""Contacts and suppressed addresses."""

from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.db.models import Q
from django.db.models.functions import Lower
from django.http import HttpRequest
from django.utils import timezone

from accounts.models import Workspace
from contacts import ses_removals, suppressions
from contacts.addresses import parse_suppressible_address
from contacts.models import Contact, SesRemoval, Suppression
from core.admin.actions import operator_action
from core.admin.base import (
    BY_WORKSPACE,
    Alert,
    BoundedFilter,
    RecordAdmin,
    badge_column,
    bounded_count,
    list_url,
)


@admin.register(Contact)
class ContactAdmin(RecordAdmin[Contact]):
    list_display = ["email", "first_name", "last_name", "unsubscribed", "workspace", "created_at"]
    list_select_related = ["workspace"]
    list_filter = [BY_WORKSPACE]
    search_help_text = "Full address or id"

    def find(self, term: str) -> Q:
        # The index starts with the workspace: listing all workspaces lets PostgreSQL use it.
        matching = Contact.objects.alias(lower=Lower("email")).filter(
            workspace__in=Workspace.objects.values("pk"), lower=term.lower()
        )
        return super().find(term) | Q(pk__in=matching.values("pk"))


class SuppressForm(forms.ModelForm[Suppression]):
    class Meta:
        model = Suppression
        fields = ["workspace", "email"]

    def clean_email(self) -> str:
        try:
            return parse_suppressible_address(self.cleaned_data["email"])
        except ValueError as error:
            raise forms.ValidationError(str(error)) from None


@admin.register(Suppression)
class SuppressionAdmin(RecordAdmin[Suppression]):
    list_display = ["email", badge_column("origin"), "workspace", "created_at"]
    list_select_related = ["workspace"]
    list_filter = [BY_WORKSPACE]
    form = SuppressForm
    autocomplete_fields = ["workspace"]
    actions = ["unsuppress"]
    search_help_text = "Full address or id"

    def find(self, term: str) -> Q:
        # The index starts with the workspace: listing all workspaces lets PostgreSQL use it.
        workspaces = Workspace.objects.values("pk")
        matching = Suppression.objects.filter(workspace__in=workspaces, email=term.lower())
        return super().find(term) | Q(pk__in=matching.values("pk"))

    def get_fields(self, request: HttpRequest, obj: Suppression | None = None) -> Any:
        editable = ["workspace", "email"]
        if obj is None:
            return editable
        return ["id", *editable, "origin", "email_id", "event_id", "created_at"]

    def has_add_permission(self, request: HttpRequest, *args: Any) -> bool:
        return request.user.has_perm("contacts.add_suppression")

    def save_model(self, request: HttpRequest, obj: Suppression, form: Any, change: bool) -> None:
        suppression_request = suppressions.SuppressionRequest(
            workspace_id=obj.workspace_id,
            email=obj.email,
            origin=Suppression.Origin.MANUAL,
            at=timezone.now(),
        )
        suppressions.suppress([suppression_request])
        obj.pk = Suppression.objects.get(workspace=obj.workspace_id, email=obj.email).pk

    @operator_action(
        "Remove suppression (allow sending again)",
        done="removed",
        consequence="Mail to these addresses is sent again."
        " Contacts that had unsubscribed are subscribed again if that was the reason.",
        columns=["workspace__name", "email", "origin"],
    )
    def unsuppress(self, request: HttpRequest, rows: list[Suppression]) -> int:
        return len(suppressions.unsuppress(rows))


class SesRemovalFilter(BoundedFilter):
    title = "state"
    parameter_name = "state"
    conditions: ClassVar[Any] = {
        "failing": ("SES still holds it", lambda rows: rows.failing().order_by("-pk")),
    }


@admin.register(SesRemoval)
class SesRemovalAdmin(RecordAdmin[SesRemoval]):
    list_display = [
        "email",
        "region",
        "workspace",
        "removed_at",
        "attempts",
        "next_attempt_at",
        "last_error",
    ]
    list_select_related = ["workspace"]
    list_filter = [SesRemovalFilter, BY_WORKSPACE]
    actions = ["retry_now"]
    search_help_text = "Full address or id"

    def find(self, term: str) -> Q:
        # The index starts with the workspace: listing all workspaces lets PostgreSQL use it.
        workspaces = Workspace.objects.values("pk")
        matching = SesRemoval.objects.filter(workspace__in=workspaces, email=term.lower())
        return super().find(term) | Q(pk__in=matching.values("pk"))

    def is_available(self, action: str, record: SesRemoval) -> bool:
        return record.removed_at is None

    @operator_action(
        "Take off SES's list now",
        done="due now",
        consequence="SES is asked to take these addresses off its suppression list again.",
        columns=["next_attempt_at"],
        on=lambda removals: removals.filter(removed_at=None),
    )
    def retry_now(self, request: HttpRequest, rows: list[SesRemoval]) -> int:
        return ses_removals.retry(rows)


def failing_removals() -> Alert:
    return Alert(
        "addresses are still on SES's own suppression list, although they were removed here",
        bounded_count(SesRemoval.objects.failing()),
        list_url(SesRemoval, state="failing"),
        one="address is still on SES's own suppression list, although it was removed here",
    )
