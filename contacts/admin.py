"""People, and the addresses that get no more mail."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Q, QuerySet
from django.db.models.functions import Lower
from django.http import HttpRequest
from django.utils import timezone

from accounts.models import Workspace
from contacts import suppressions
from contacts.addresses import suppressible
from contacts.models import Contact, Suppression
from core.admin.base import BY_WORKSPACE, RecordAdmin, labelled, picked


@admin.register(Contact)
class ContactAdmin(RecordAdmin[Contact]):
    list_display = ["email", "first_name", "last_name", "unsubscribed", "workspace", "created_at"]
    list_select_related = ["workspace"]
    list_filter = [BY_WORKSPACE]

    def find(self, term: str) -> Q:
        # The index begins with the workspace: named, it serves each of them.
        same = Contact.objects.alias(lower=Lower("email")).filter(
            workspace__in=Workspace.objects.values("pk"), lower=term.lower()
        )
        return super().find(term) | Q(pk__in=same.values("pk"))


class SuppressForm(forms.ModelForm[Suppression]):
    class Meta:
        model = Suppression
        fields = ["workspace", "email"]

    def clean_email(self) -> str:
        try:
            return suppressible(self.cleaned_data["email"])
        except ValueError as error:
            raise forms.ValidationError(str(error)) from None


@admin.register(Suppression)
class SuppressionAdmin(RecordAdmin[Suppression]):
    list_display = ["email", labelled("origin"), "workspace", "created_at"]
    list_select_related = ["workspace"]
    list_filter = [BY_WORKSPACE]
    form = SuppressForm
    autocomplete_fields = ["workspace"]
    actions = ["unsuppress"]

    def find(self, term: str) -> Q:
        # The index begins with the workspace: named, it serves each of them.
        every = Workspace.objects.values("pk")
        same = Suppression.objects.filter(workspace__in=every, email=term.lower())
        return super().find(term) | Q(pk__in=same.values("pk"))

    def get_fields(self, request: HttpRequest, obj: Suppression | None = None) -> Any:
        asked = ["workspace", "email"]
        return (
            asked if obj is None else ["id", *asked, "origin", "email_id", "event_id", "created_at"]
        )

    def has_add_permission(self, request: HttpRequest, *args: Any) -> bool:
        return request.user.has_perm("contacts.add_suppression")

    def save_model(self, request: HttpRequest, obj: Suppression, form: Any, change: bool) -> None:
        cause = suppressions.SuppressionRequest(
            workspace_id=obj.workspace_id,
            email=obj.email,
            origin=Suppression.Origin.MANUAL,
            at=timezone.now(),
        )
        suppressions.suppress([cause])
        obj.pk = Suppression.objects.get(workspace=obj.workspace_id, email=obj.email).pk

    @admin.action(description="Let mail go to them again", permissions=["operate"])
    def unsuppress(self, request: HttpRequest, queryset: QuerySet[Suppression]) -> None:
        self.say(request, len(suppressions.unsuppress(picked(queryset))), "removed")
