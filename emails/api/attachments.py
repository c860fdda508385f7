"""`/emails/{id}/attachments`: attachments of an email, with download links."""

from functools import partial

from django.db.models import QuerySet
from django.utils import timezone

from accounts import views
from accounts.access import Access, Scope
from accounts.operation import operation
from accounts.views import ApiView
from core.api.dialects import Page
from emails.api.emails import find
from emails.api.representations import AttachmentOut, represent_attachment
from emails.content.attachments import LINK_LIFETIME
from emails.models import EmailAttachment


class AttachmentsView(ApiView):
    tag = "Emails"

    @operation("List the attachments of an email", needs=Scope.EMAILS_READ_OWN, no_store=True)
    def get(self, access: Access, email_id: str) -> Page[AttachmentOut]:
        expires_at = timezone.now() + LINK_LIFETIME
        render = partial(represent_attachment, expires_at=expires_at)
        return self.page(_attachments(access, email_id), render)


class AttachmentView(ApiView):
    tag = "Emails"

    @operation("Get an attachment of an email", needs=Scope.EMAILS_READ_OWN, no_store=True)
    def get(self, access: Access, email_id: str, attachment_id: str) -> AttachmentOut:
        row = views.find(_attachments(access, email_id), attachment_id, "attachment")
        return represent_attachment(row, expires_at=timezone.now() + LINK_LIFETIME)


def _attachments(access: Access, email_id: str) -> "QuerySet[EmailAttachment]":
    return EmailAttachment.objects.filter(email=find(access, email_id))
