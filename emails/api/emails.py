"""`/emails`: send emails and read them back."""

from accounts import views
from accounts.access import Access, Scope
from accounts.operation import operation
from accounts.views import ApiView
from core.api.dialects import Page
from emails import services
from emails.api.bodies import Reschedule
from emails.api.body_readers import BATCH, BATCH_VALIDATION, EMAIL, Batch
from emails.api.representations import (
    BatchAccepted,
    EmailAccepted,
    EmailChanged,
    EmailEventOut,
    EmailListed,
    EmailOut,
    represent,
    represent_event,
    represent_listed,
)
from emails.api.trace import EmailTrace, trace
from emails.content.outgoing_message import OutgoingMessage
from emails.models import Email, EmailEvent, EmailQuerySet
from emails.scheduling import cancel, reschedule
from emails.services import RecipientSuppressed


class EmailsView(ApiView):
    tag = "Emails"

    @operation(
        "Send an email",
        needs=Scope.EMAILS_SEND,
        idempotent=True,
        reads=EMAIL,
        errors=[503],
    )
    def post(self, access: Access, body: OutgoingMessage) -> EmailAccepted | RecipientSuppressed:
        (draft,) = services.accept(access, [body])
        if draft.has_no_recipients:
            return RecipientSuppressed(draft)
        return EmailAccepted(id=str(draft.email.pk))

    @operation("List emails", needs=Scope.EMAILS_READ_OWN)
    def get(self, access: Access) -> Page[EmailListed]:
        return self.page(visible(access).without_content(), represent_listed)


class EmailBatchView(ApiView):
    tag = "Emails"

    @operation(
        "Send up to 100 emails",
        needs=Scope.EMAILS_SEND,
        idempotent=True,
        reads=BATCH,
        parameters=[BATCH_VALIDATION],
        errors=[503],
    )
    def post(self, access: Access, body: Batch) -> BatchAccepted:
        drafts = services.accept(access, body.messages, is_batch=True)
        return BatchAccepted(
            data=[EmailAccepted(id=str(draft.email.pk)) for draft in drafts], errors=body.errors
        )


class EmailView(ApiView):
    tag = "Emails"

    @operation("Get an email", needs=Scope.EMAILS_READ_OWN)
    def get(self, access: Access, email_id: str) -> EmailOut:
        return represent(views.find(visible(access), email_id, "email"))

    @operation("Reschedule an email", needs=Scope.EMAILS_WRITE)
    def patch(self, access: Access, body: Reschedule, email_id: str) -> EmailChanged:
        email = find(access, email_id)
        reschedule(email, body.scheduled_at)
        return EmailChanged(id=str(email.pk))


class EmailCancelView(ApiView):
    tag = "Emails"

    @operation("Cancel an email", needs=Scope.EMAILS_WRITE)
    def post(self, access: Access, email_id: str) -> EmailChanged:
        email = find(access, email_id)
        cancel(email)
        return EmailChanged(id=str(email.pk))


class EmailEventsView(ApiView):
    tag = "Emails"

    @operation("List the events of an email", needs=Scope.EMAILS_READ_OWN)
    def get(self, access: Access, email_id: str) -> Page[EmailEventOut]:
        rows = EmailEvent.objects.filter(email=find(access, email_id))
        return self.page(rows, represent_event)


class EmailTraceView(ApiView):
    tag = "Emails"

    @operation("Trace an email", needs=Scope.EMAILS_READ_OWN)
    def get(self, access: Access, email_id: str) -> EmailTrace:
        return trace(find(access, email_id))


def visible(access: Access) -> EmailQuerySet:
    """The only way this API reaches emails: those that the caller may read."""
    return Email.objects.visible_to(access)


def find(access: Access, email_id: str) -> Email:
    """The email, with its content deferred."""
    return views.find(visible(access).without_content(), email_id, "email")
