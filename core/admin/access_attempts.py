"""Failed logins, and which accounts they lock."""

from ipaddress import ip_address

from axes.models import AccessAttempt
from django.conf import settings
from django.contrib import admin
from django.db.models import Model, Q
from django.http import HttpRequest

from core.admin.actions import operator_action
from core.admin.base import RecordAdmin


@admin.register(AccessAttempt)
class AccessAttemptAdmin(RecordAdmin[AccessAttempt]):
    """Failed logins of the last minutes (LOGIN_LOCKOUT), and which of them are locked out."""

    list_display = ["attempt_time", "username", "ip_address", "failures_since_start", "locked"]
    list_display_links = ["attempt_time"]
    fields = [
        ("username", "ip_address"),
        ("failures_since_start", "locked"),
        ("attempt_time", "user_agent"),
    ]
    readonly_fields = ["locked"]
    actions = ["unlock"]
    search_help_text = "Full name or address"

    def find(self, term: str) -> Q:
        try:
            return Q(username=term) | Q(ip_address=str(ip_address(term)))
        except ValueError:
            return Q(username=term)

    @admin.display(description="locked", boolean=True)
    def locked(self, attempt: AccessAttempt) -> bool:
        return bool(attempt.failures_since_start >= settings.LOGIN_FAILURE_LIMIT)

    def name_of(self, row: Model) -> str:
        """Not only the time, which is its name in axes."""
        assert isinstance(row, AccessAttempt)
        return f"{row.username} from {row.ip_address}"

    @operator_action(
        "Unlock",
        done="forgotten",
        consequence="The failures are forgotten, and the account may log in from there again.",
        columns=["username", "ip_address", "failures_since_start"],
    )
    def unlock(self, request: HttpRequest, attempts: list[AccessAttempt]) -> int:
        rows = AccessAttempt.objects.filter(pk__in=[attempt.pk for attempt in attempts])
        count, _ = rows.delete()
        return int(count)
