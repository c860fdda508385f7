"""The log of all operators' changes, also of rows that are gone."""

from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.db.models import Q
from django.urls import NoReverseMatch
from django.utils.safestring import SafeString

from core.admin import history
from core.admin.base import RecordAdmin, anchor


@admin.register(LogEntry)
class LogEntryAdmin(RecordAdmin[LogEntry]):
    list_display = ["action_time", "user", "action", "row", "changes"]
    list_display_links = ["action_time"]
    list_select_related = ["user", "content_type"]
    list_filter = ["user"]
    search_help_text = "Full id of the changed row"
    fields = [("action_time", "user"), ("action", "row"), "changes"]
    readonly_fields = ["action", "row", "changes"]

    def find(self, term: str) -> Q:
        return Q(object_id=term) | Q(pk=int(term) if term.isdecimal() else 0)

    @admin.display(description="action")
    def action(self, entry: LogEntry) -> str:
        return history.action_of(entry)

    @admin.display(description="row")
    def row(self, entry: LogEntry) -> str | SafeString:
        """Its page, even if that is gone: the name is all there is then."""
        try:
            url = entry.get_admin_url()
        except NoReverseMatch:
            url = None
        name = f"{entry.content_type}: {entry.object_repr}"
        return anchor(url, name) if url and not entry.is_deletion() else name

    @admin.display(description="changes")
    def changes(self, entry: LogEntry) -> SafeString:
        return history.changes_of(entry)
