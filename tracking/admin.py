"""Who came by, and why it was taken for a person or a machine."""

from django.contrib import admin
from django.db.models import Q

from core.admin.base import RecordAdmin, WorkFilter, as_uuid, labelled
from tracking.models import Hit


@admin.register(Hit)
class HitAdmin(RecordAdmin[Hit]):
    list_display = [
        *("at", labelled("kind"), labelled("verdict"), "reasons", "link", "target", "user_agent"),
        *("network", "email_id"),
    ]
    list_filter = [WorkFilter]
    search_help_text = "An email's id, in full"

    def find(self, term: str) -> Q:
        found = super().find(term)
        if (identifier := as_uuid(term)) is None:
            return found
        return found | Q(email_id=identifier)
