"""Opens and clicks, and why each was classified as human or machine."""

from django.contrib import admin
from django.db.models import Q

from core.admin.base import RecordAdmin, WorkFilter, as_uuid, badge_column
from tracking.models import Hit


@admin.register(Hit)
class HitAdmin(RecordAdmin[Hit]):
    list_display = [
        *(
            "at",
            badge_column("kind"),
            badge_column("verdict"),
            "reasons",
            "link",
            "target",
            "user_agent",
        ),
        *("network", "email_id"),
    ]
    list_filter = [WorkFilter]
    search_help_text = "Full id of a hit or its email"

    def find(self, term: str) -> Q:
        query = super().find(term)
        if (email_id := as_uuid(term)) is None:
            return query
        return query | Q(email_id=email_id)
