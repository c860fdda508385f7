"""Reads the bodies of `POST /emails` and `POST /emails/batch`, with the files that they name.

Remote files may be slow, so they are fetched before the transaction that holds the request's
Idempotency-Key, and not at all for a repetition (accounts.operation.BodyReader).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from accounts.access import Access
from accounts.authentication import ApiRequest
from accounts.operation import BodyReader
from core.errors import DomainError, ValidationFailed
from core.server.waits import TooManyWaits
from domains.services import name_of
from emails import services
from emails.api.bodies import SendEmail
from emails.api.remote_attachments import AttachmentFetcher, has_remote_attachments
from emails.api.representations import BatchError
from emails.content import addresses
from emails.content.outgoing_message import OutgoingMessage

MAX_BATCH = 100
BATCH_VALIDATION = OpenApiParameter(
    "x-batch-validation",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    enum=["strict", "permissive"],
    description="strict (the default): all or nothing; permissive: the valid emails are accepted",
)
_BATCH_SCHEMA = {
    "application/json": {
        "type": "array",
        "minItems": 1,
        "maxItems": MAX_BATCH,
        "items": {"$ref": "#/components/schemas/SendEmailRequest"},
    }
}


@dataclass(frozen=True, slots=True)
class Batch:
    """`errors` are those of the invalid emails of a permissive batch; None for a strict one."""

    messages: Sequence[OutgoingMessage]
    errors: list[BatchError] | None = None


def _read_email(request: Request, access: Access) -> OutgoingMessage:
    body = SendEmail.parse(request.data)
    AttachmentFetcher(access.workspace.pk).fetch(body)
    return body.to_message()


def _read_batch(request: Request, access: Access) -> Batch:
    items = request.data
    if not isinstance(items, list) or not 1 <= len(items) <= MAX_BATCH:
        raise ValidationFailed({"body": f"must be a list of 1 to {MAX_BATCH} emails"})
    if _mode(request) == "permissive":
        return _read_valid(access, items)
    bodies = [SendEmail.parse(item, prefix=f"{index}.") for index, item in enumerate(items)]
    fetcher = AttachmentFetcher(access.workspace.pk)
    for index, body in enumerate(bodies):
        fetcher.fetch(body, prefix=f"{index}.")
    return Batch([body.to_message() for body in bodies])


def _authorise_email(request: Request, access: Access) -> None:
    _require_allowed_senders(access, [request.data])


def _authorise_batch(request: Request, access: Access) -> None:
    # A permissive batch has an error for each email that the key may not send.
    if _mode(request) == "strict" and isinstance(request.data, list):
        _require_allowed_senders(access, request.data[:MAX_BATCH])


def _require_allowed_senders(access: Access, items: Sequence[Any]) -> None:
    """ApiKeyDomainRestricted unless the senders, as far as they can be read, are of the domain that
    the key is restricted to."""
    if access.domain_id is None:
        return
    allowed = name_of(access.domain_id)
    for name in filter(None, map(_sender_domain, items)):
        if name != allowed:
            raise services.ApiKeyDomainRestricted.of(name)


def _sender_domain(item: Any) -> str:
    sender = item.get("from") if isinstance(item, dict) else None
    try:
        return addresses.parse(sender).domain if isinstance(sender, str) else ""
    except ValueError:
        return ""


def _variant(request: ApiRequest) -> str:
    """The mode; for a permissive batch also the domain that the key is restricted to, since that
    decides which emails are accepted."""
    mode, domain_id = _mode(request), request.auth.domain_id
    return f"{mode} {domain_id}" if mode == "permissive" and domain_id else mode


def _mode(request: Request) -> str:
    mode: str = request.headers.get("x-batch-validation", "strict")
    if mode not in ("strict", "permissive"):
        raise ValidationFailed({"x-batch-validation": "must be `strict` or `permissive`"})
    return mode


def _read_valid(access: Access, items: list[Any]) -> Batch:
    """The valid emails, and the errors of the others with their index in the batch."""
    parsed: list[tuple[int, SendEmail]] = []
    errors: dict[int, str] = {}
    for index, item in enumerate(items):
        try:
            parsed.append((index, SendEmail.parse(item)))
        except DomainError as error:
            errors[index] = error.message
    problems = services.check_domains(access, [body.sender.domain for _, body in parsed])
    messages, fetcher = [], AttachmentFetcher(access.workspace.pk)
    for (index, body), problem in zip(parsed, problems, strict=True):
        try:
            if problem is not None:
                raise problem
            fetcher.fetch(body)
            messages.append(body.to_message())
        except TooManyWaits:  # of the request, not of this email
            raise
        except DomainError as error:
            errors[index] = error.message
    return Batch(messages, [BatchError(index=at, message=errors[at]) for at in sorted(errors)])


EMAIL = BodyReader(
    schema=SendEmail,
    read=_read_email,
    authorise=_authorise_email,
    is_slow=has_remote_attachments,
)
BATCH = BodyReader(
    schema=_BATCH_SCHEMA,
    read=_read_batch,
    authorise=_authorise_batch,
    is_slow=has_remote_attachments,
    variant=_variant,
)
