"""Admin pages for recoveries."""

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest

from core.admin.base import RecordAdmin, as_uuid, badge_column
from webhooks.admin.sections import ENDPOINT_SECRETS, state_of_recovery
from webhooks.models import Recovery


@admin.register(Recovery)
class RecoveryAdmin(RecordAdmin[Recovery]):
    list_display = [
        "id",
        "endpoint",
        badge_column("state", value=state_of_recovery),
        "since",
        "until",
        "only",
        "recovered",
        "last_error",
        "created_at",
    ]
    fields = [
        ("endpoint", "id"),
        ("since", "until"),
        ("only", "recovered"),
        ("created_at", "next_attempt_at"),
        "last_error",
    ]
    search_help_text = "Full id of a recovery or its endpoint"

    def find(self, term: str) -> Q:
        query = super().find(term)
        if (identifier := as_uuid(term)) is None:
            return query
        return query | Q(endpoint=identifier)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Recovery]:
        return super().get_queryset(request).select_related("endpoint").defer(*ENDPOINT_SECRETS)
