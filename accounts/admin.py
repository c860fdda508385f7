"""Tenants, keys and the people who operate the installation."""

from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as BaseGroupAdmin
from django.contrib.auth.admin import UserAdmin as BaseUserAdmin
from django.contrib.auth.models import Group, User
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from accounts import services
from accounts.models import ApiKey, IdempotencyRecord, Workspace
from core.admin.actions import operator_action
from core.admin.base import RECENT_ROWS, BoundedFilter, RecordAdmin, list_url
from core.admin.history import RecordsValues

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin
    from django.contrib.auth.forms import (
        AdminPasswordChangeForm,
        UserChangeForm,
        UserCreationForm,
    )
else:
    from unfold.admin import ModelAdmin
    from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

admin.site.unregister(User)
admin.site.unregister(Group)


@admin.register(User)
class OperatorAdmin(RecordsValues, BaseUserAdmin, ModelAdmin):  # type: ignore[type-arg]
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm


@admin.register(Group)
class OperatorGroupAdmin(RecordsValues, BaseGroupAdmin, ModelAdmin):  # type: ignore[type-arg]
    pass


@admin.register(Workspace)
class WorkspaceAdmin(RecordAdmin[Workspace]):
    list_display = ["name", "rate_limit", "rate_burst", "created_at", "id"]
    fields = ["id", "name", "rate_limit", "rate_burst", "created_at"]
    readonly_fields = ["id", "created_at"]
    search_help_text = "Part of a name, or full id"

    def find(self, term: str) -> Q:
        return super().find(term) | Q(name__icontains=term)

    def has_add_permission(self, request: HttpRequest, *args: Any) -> bool:
        return request.user.has_perm("accounts.add_workspace")

    def has_change_permission(self, request: HttpRequest, obj: Workspace | None = None) -> bool:
        return self.has_operate_permission(request)


class KeyFilter(BoundedFilter):
    title = "state"
    parameter_name = "state"
    conditions: ClassVar[Any] = {
        "live": ("Live", lambda keys: keys.filter(revoked_at=None)),
        "revoked": ("Revoked", lambda keys: keys.exclude(revoked_at=None)),
    }


class NewKeyForm(forms.ModelForm[ApiKey]):
    class Meta:
        model = ApiKey
        fields = ["workspace", "name", "permission"]


@admin.register(ApiKey)
class ApiKeyAdmin(RecordAdmin[ApiKey]):
    list_display = ["name", "prefix", "workspace", "permission", "last_used_at", "revoked_at"]
    list_select_related = ["workspace"]
    list_filter = [KeyFilter]
    form = NewKeyForm
    autocomplete_fields = ["workspace"]
    actions = ["revoke"]
    exact = ["workspace__name"]
    search_help_text = "Key or its start as listed, or full id"

    def find(self, term: str) -> Q:
        return super().find(term) | Q(prefix=term[: services.PREFIX_LENGTH])

    def get_queryset(self, request: HttpRequest) -> QuerySet[ApiKey]:
        return super().get_queryset(request).defer("digest")

    def get_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> Any:
        if obj is None:
            return ["workspace", "name", "permission"]
        shown = ["id", "workspace", "name", "prefix", "permission", "domain_id"]
        return [*shown, "created_at", "last_used_at", "revoked_at"]

    def has_add_permission(self, request: HttpRequest, *args: Any) -> bool:
        return request.user.has_perm("accounts.add_apikey")

    def save_model(self, request: HttpRequest, obj: ApiKey, form: Any, change: bool) -> None:
        key, token = services.create_api_key(
            workspace=obj.workspace, name=obj.name, permission=obj.permission
        )
        obj.pk, obj.prefix = key.pk, key.prefix
        request.META["opensend.new_token"] = token

    def response_add(
        self, request: HttpRequest, obj: ApiKey, post_url_continue: str | None = None
    ) -> HttpResponse:
        """The token in the answer itself: no message, cookie or session ever holds it."""
        context = {
            **self.admin_site.each_context(request),
            "title": "New API key",
            "key": obj,
            "token": request.META["opensend.new_token"],
            "list_url": list_url(ApiKey),
        }
        response = TemplateResponse(request, "accounts/admin/new_key.html", context)
        response["Cache-Control"] = "no-store"
        return response

    @operator_action(
        "Revoke",
        done="revoked",
        consequence="Requests with them are refused from now on, for good.",
        columns=["revoked_at"],
        on=lambda keys: keys.filter(revoked_at=None),
    )
    def revoke(self, request: HttpRequest, keys: list[ApiKey]) -> int:
        for key in keys:
            services.revoke_api_key(key)
        return len(keys)


@admin.register(IdempotencyRecord)
class IdempotencyRecordAdmin(RecordAdmin[IdempotencyRecord]):
    list_display = ["key", "route", "status", "workspace", "created_at"]
    list_select_related = ["workspace"]
    fields = ["id", "workspace", "route", "key", "status", "created_at"]
    search_help_text = "Full Idempotency-Key or id"

    def find(self, term: str) -> Q:
        # The unique index begins with workspace and route, so a key alone is looked for among
        # the newest records; they are kept for a day.
        newest = IdempotencyRecord.objects.order_by("-pk").values("pk")[:RECENT_ROWS]
        return super().find(term) | Q(key=term, pk__in=newest)

    def get_queryset(self, request: HttpRequest) -> QuerySet[IdempotencyRecord]:
        return super().get_queryset(request).defer("encrypted_body", "fingerprint")
