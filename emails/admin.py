"""Admin pages of emails: a preview, the recipients, the facts, and actions for operators."""

from typing import Any, ClassVar

from csp.decorators import csp_update
from django.contrib import admin
from django.db.models import FloatField, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html

from core.admin.actions import operator_action
from core.admin.base import (
    BY_WORKSPACE,
    Alert,
    Badge,
    BoundedFilter,
    Panel,
    RecordAdmin,
    as_uuid,
    badge_column,
    bounded_count,
    collapsible,
    link,
    list_url,
    number_column,
    overdue,
)
from emails import services
from emails.content import attachments
from emails.html_preview import preview
from emails.models import Email, EmailAttachment, EmailEvent, EmailRecipient, SendRate
from emails.sending.backlog import waiting_lanes
from tracking.models import Hit

MAX_ROWS = 200
BY_OPERATOR = "Held by an operator."
_REMOTE_IMAGES = {"img-src": ["https:", "http:"]}
# What an action changes of an email.
_STATE = ("status", "hold_reason", "next_attempt_at")


def overdue_emails(emails: "QuerySet[Email]") -> "QuerySet[Email]":
    return overdue(_pending(emails).exclude(waiting_lanes()))


def crashing_emails(emails: "QuerySet[Email]") -> "QuerySet[Email]":
    return _pending(emails).filter(next_attempt_at__isnull=False, crashes__gte=2)


def awaiting_operator(emails: "QuerySet[Email]") -> "QuerySet[Email]":
    return emails.filter(status=Email.Status.UNKNOWN, next_attempt_at=None).order_by("-pk")


class StateFilter(BoundedFilter):
    title = "state"
    parameter_name = "state"
    conditions: ClassVar[Any] = {
        "overdue": ("Overdue", overdue_emails),
        "held": ("Unknown, held for an operator", awaiting_operator),
        "exhausted": ("Crashing repeatedly", crashing_emails),
    }


def _recipients(email: Email) -> Panel:
    rows = [
        [link(each, each.address), each.kind, Badge(each.status), each.status_at, each.detail]
        for each in email.recipients.order_by("pk")[:MAX_ROWS]
    ]
    return Panel("Recipients", ["Address", "Kind", "Status", "Since", "Detail"], rows)


def _attachments(email: Email) -> Panel:
    rows = [
        [
            format_html('<a href="{}">{}</a>', attachments.download_url(each), each.filename),
            *(each.content_type, each.size, each.content_id),
        ]
        for each in attachments.by_email([email]).get(email.pk, [])
    ]
    return Panel("Attachments", ["Filename", "Type", "Bytes", "Content-ID"], rows)


def _hits(email: Email) -> Panel:
    hits = Hit.objects.filter(email_id=email.pk).order_by("-at")
    rows = [
        [
            *(link(each, f"{each.at:%Y-%m-%d %H:%M:%S}"), each.kind, Badge(each.verdict or "due")),
            *(", ".join(each.reasons), each.target, each.user_agent, each.network or ""),
        ]
        for each in hits[:MAX_ROWS]
    ]
    headers = ["At", "Kind", "Verdict", "Reasons", "Link", "User agent", "Network"]
    return Panel("Opens and clicks", headers, rows, more=list_url(Hit, q=str(email.pk)))


def _timeline(email: Email) -> Panel:
    events = sorted(email.events.all()[:MAX_ROWS], key=lambda event: event.occurred_at)
    rows = [
        [event.occurred_at, Badge(event.type), event.recipient, _payload(event)] for event in events
    ]
    return Panel("Timeline", ["At", "Event", "Recipient", "Payload"], rows, empty="No events yet.")


def _payload(event: EmailEvent) -> str:
    return collapsible("payload", event.payload) if event.payload else ""


@admin.register(Email)
class EmailAdmin(RecordAdmin[Email]):
    list_display = [
        "subject_start",
        badge_column("status"),
        "recipients_start",
        "workspace",
        "created_at",
        "next_attempt_at",
        "last_error",
    ]
    list_select_related = ["workspace"]
    list_filter = ["status", StateFilter, BY_WORKSPACE]
    search_help_text = "Full address, id, Message-ID or provider message id"
    fieldsets: ClassVar[Any] = [
        (
            None,
            {
                "fields": [
                    ("status", "workspace"),
                    ("id", "api_key"),
                    ("created_at", "sent_at"),
                    ("scheduled_at", "next_attempt_at"),
                    ("message_id", "provider_message_id"),
                    ("region", "configuration_set"),
                    ("owner", "hold_reason"),
                    ("claims", "crashes"),
                    ("first_attempt_at", "unknown_since"),
                    ("tags", "request_id"),
                    ("opens", "human_opens"),
                    ("clicks", "human_clicks"),
                    "last_error",
                    "provider_response",
                ]
            },
        ),
    ]
    actions = ["retry_now", "hold", "release", "mark_as_sent", "mark_as_failed"]
    # The preview and the panels come before the columns of the row.
    change_form_outer_before_template = "emails/admin/email.html"
    change_form_outer_after_template = None
    bottom_panels: ClassVar[Any] = (_recipients, _attachments, _timeline, _hits)

    def find(self, term: str) -> Q:
        if term.startswith("<") or "@" not in term:
            # The local part of a Message-ID is the provider's id, or ours until there is one.
            local = term.strip("<>").partition("@")[0]
            by_provider_id = Q(provider_message_id=local) & ~Q(provider_message_id="")
            return by_provider_id | Q(pk=pk) if (pk := as_uuid(local)) else by_provider_id
        local, _, domain = term.rpartition("@")
        recipients = EmailRecipient.objects.filter(address=f"{local}@{domain.lower()}")
        return Q(pk__in=recipients.order_by("-pk").values("email")[:MAX_ROWS])

    def get_queryset(self, request: HttpRequest) -> QuerySet[Email]:
        emails = super().get_queryset(request).select_related("workspace")
        return emails.defer("html", "text", "headers", "provider_response")

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        extra = extra_context or {}
        email = self.get_object(request, object_id)
        images = request.GET.get("images") == "1"
        if email is not None:
            extra |= {"mail": email, "images": images, "preview": preview(email.html, images)}
        response = super().change_view(request, object_id, form_url, extra)
        if images:
            # The frame of the preview has its page's policy.
            csp_update(_REMOTE_IMAGES)(lambda _: response)(request)
        return response

    @admin.display(description="subject")
    def subject_start(self, email: Email) -> str:
        return email.subject[:80] or "(no subject)"

    @admin.display(description="to")
    def recipients_start(self, email: Email) -> str:
        everybody = email.to + email.cc + email.bcc
        more = f" and {len(everybody) - 1} more" if len(everybody) > 1 else ""
        return "".join(everybody[:1]) + more

    @operator_action(
        "Send now",
        done="will be sent now",
        consequence="What was sent with an unknown outcome may arrive a second time.",
        columns=_STATE,
        on=lambda emails: emails.filter(status__in=[Email.Status.QUEUED, Email.Status.UNKNOWN]),
    )
    def retry_now(self, request: HttpRequest, emails: list[Email]) -> int:
        return services.retry_now(emails)

    @operator_action(
        "Hold",
        done="held",
        consequence="They are not sent until somebody releases them, and fail if nobody does.",
        columns=_STATE,
        on=lambda emails: emails.certainly_unsent(),
    )
    def hold(self, request: HttpRequest, emails: list[Email]) -> int:
        return services.hold_emails(emails, BY_OPERATOR)

    @operator_action(
        "Release (held only)",
        done="released",
        consequence="They are sent at their scheduled time, or now.",
        columns=_STATE,
        on=lambda emails: emails.filter(status=Email.Status.HELD),
    )
    def release(self, request: HttpRequest, emails: list[Email]) -> int:
        return services.release_emails(emails)

    @operator_action(
        "Mark as sent (unknown sends only)",
        done="marked as sent",
        consequence="They are not sent again, and events say that they were sent.",
        columns=_STATE,
        on=lambda emails: emails.filter(status=Email.Status.UNKNOWN),
    )
    def mark_as_sent(self, request: HttpRequest, emails: list[Email]) -> int:
        return services.resolve(emails, was_sent=True)

    @operator_action(
        "Mark as failed (unknown sends only)",
        done="marked as failed",
        consequence="They are not sent again, and events say that they failed.",
        columns=_STATE,
        on=lambda emails: emails.filter(status=Email.Status.UNKNOWN),
    )
    def mark_as_failed(self, request: HttpRequest, emails: list[Email]) -> int:
        return services.resolve(emails, was_sent=False)


@admin.register(EmailRecipient)
class EmailRecipientAdmin(RecordAdmin[EmailRecipient]):
    list_display = ["address", "kind", badge_column("status"), "status_at", "detail", "email_id"]
    raw_id_fields = ["email"]
    search_help_text = "Full address or email id"

    def find(self, term: str) -> Q:
        if (identifier := as_uuid(term)) is not None:
            return super().find(term) | Q(email=identifier)
        local, _, domain = term.rpartition("@")
        return Q(address=f"{local}@{domain.lower()}")


@admin.register(EmailAttachment)
class EmailAttachmentAdmin(RecordAdmin[EmailAttachment]):
    list_display = ["filename", "content_type", "size", "content_id", "email_id"]
    raw_id_fields = ["email"]
    search_help_text = "Full email id"

    def find(self, term: str) -> Q:
        by_id = super().find(term)
        if (identifier := as_uuid(term)) is None:
            return by_id
        return by_id | Q(email=identifier)


@admin.register(EmailEvent)
class EmailEventAdmin(RecordAdmin[EmailEvent]):
    list_display = ["type", "recipient", badge_column("status"), "occurred_at", "email_id"]
    raw_id_fields = ["email"]
    search_help_text = "Full email id"

    def find(self, term: str) -> Q:
        by_id = super().find(term)
        if (identifier := as_uuid(term)) is None:
            return by_id
        return by_id | Q(email=identifier)

    def get_queryset(self, request: HttpRequest) -> QuerySet[EmailEvent]:
        return super().get_queryset(request).defer("payload")


@admin.register(SendRate)
class SendRateAdmin(RecordAdmin[SendRate]):
    list_display = [
        "name",
        number_column("max_rate", "recipients per second"),
        number_column("factor", "share in use"),
        number_column("daily_quota", "daily quota"),
        number_column("sent_24h", "sent in 24 h"),
        "paused_until",
    ]
    _FLOATS: ClassVar[Any] = [
        number_column(field.name, str(field.verbose_name))
        for field in SendRate._meta.fields
        if isinstance(field, FloatField)
    ]
    fields: ClassVar[Any] = [
        *(field.name for field in SendRate._meta.fields if not isinstance(field, FloatField)),
        *_FLOATS,
    ]
    readonly_fields = _FLOATS
    search_help_text = "Region or provider name"
    exact = ("name",)


def overdue_alert() -> Alert:
    count = bounded_count(overdue_emails(Email.objects.all()))
    return Alert(
        "emails are overdue", count, list_url(Email, state="overdue"), one="email is overdue"
    )


def unknown_alert() -> Alert:
    return Alert(
        "emails have an unknown outcome and are held for an operator",
        bounded_count(awaiting_operator(Email.objects.all())),
        list_url(Email, state="held"),
        one="email has an unknown outcome and is held for an operator",
    )


def _pending(emails: "QuerySet[Email]") -> "QuerySet[Email]":
    """By status rather than next_attempt_at: there is an index on the status."""
    return emails.filter(status__in=["queued", "scheduled", "held", "sending", "unknown"])
