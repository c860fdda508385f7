"""`/emails/{id}/attachments`: attachments of an email, with download links."""

from datetime import datetime
from typing import Any, Literal

from django.utils import timezone
from pydantic import BaseModel
from rest_framework.response import Response

from accounts import views
from accounts.authentication import ApiRequest
from accounts.permissions import SendingAccess
from accounts.views import ApiView
from core.api.http import uncached
from core.api.openapi import PAGE, describe, list_of
from core.api.pagination import page
from core.times import iso
from emails.api.emails import find
from emails.content.attachments import LINK_LIFETIME, download_url
from emails.content.mime import disposition
from emails.models import EmailAttachment


class AttachmentOut(BaseModel):
    """Anyone with `download_url` can download the file until `expires_at`."""

    object: Literal["attachment"] = "attachment"
    id: str
    filename: str
    content_type: str
    content_disposition: Literal["inline", "attachment"]
    content_id: str | None
    size: int
    download_url: str
    expires_at: str


class AttachmentsView(ApiView):
    permission_classes = [SendingAccess]

    @describe(
        "List the attachments of an email",
        response=list_of(AttachmentOut),
        parameters=PAGE,
        tag="Emails",
    )
    def get(self, request: ApiRequest, email_id: str) -> Response:
        expires_at = timezone.now() + LINK_LIFETIME
        rows = EmailAttachment.objects.filter(email=find(request, email_id))
        return uncached(Response(page(request, rows, lambda row: _serialize(row, expires_at))))


class AttachmentView(ApiView):
    permission_classes = [SendingAccess]

    @describe("Get an attachment of an email", response=AttachmentOut, tag="Emails")
    def get(self, request: ApiRequest, email_id: str, attachment_id: str) -> Response:
        rows = EmailAttachment.objects.filter(email=find(request, email_id))
        row = views.find(rows, attachment_id, "attachment")
        return uncached(Response(_serialize(row, timezone.now() + LINK_LIFETIME)))


def _serialize(row: EmailAttachment, expires_at: datetime) -> dict[str, Any]:
    return AttachmentOut(
        id=str(row.pk),
        filename=row.filename,
        content_type=row.content_type,
        content_disposition=disposition(row),
        content_id=row.content_id or None,
        size=row.size,
        download_url=download_url(row, expires_at=expires_at),
        expires_at=iso(expires_at),
    ).model_dump()
