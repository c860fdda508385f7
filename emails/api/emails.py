"""`/emails`: send emails and read them back."""

from collections.abc import Callable
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.response import Response

from accounts import views
from accounts.authentication import ApiRequest
from accounts.idempotency import idempotent, kept_answer
from accounts.permissions import FullAccess, SendingAccess
from accounts.views import ApiView
from core.api.bodies import parse
from core.api.openapi import IDEMPOTENCY_KEY, PAGE, describe, list_of
from core.api.pagination import page
from core.errors import DomainError, ValidationFailed
from core.errors import body as error_body
from emails import services
from emails.api.bodies import Reschedule, SendEmail, parse_email
from emails.api.representations import (
    BatchAccepted,
    EmailAccepted,
    EmailChanged,
    EmailEventOut,
    EmailListed,
    EmailOut,
    serialize_changed,
    serialize_email,
    serialize_event,
    serialize_list_item,
)
from emails.api.trace import EmailTrace, trace
from emails.content.remote_attachments import AttachmentFetcher, has_remote_attachments
from emails.models import Email, EmailEvent, EmailQuerySet
from emails.scheduling import cancel, reschedule

# Accepts prepared emails and answers.
Commit = Callable[[], Response]

MAX_BATCH = 100
BATCH_VALIDATION = OpenApiParameter(
    "x-batch-validation",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    enum=["strict", "permissive"],
    description="strict (the default): all or nothing; permissive: the valid emails are accepted",
)
BATCH = {
    "application/json": {
        "type": "array",
        "minItems": 1,
        "maxItems": MAX_BATCH,
        "items": {"$ref": "#/components/schemas/SendEmailRequest"},
    }
}


class EmailsView(ApiView):
    permission_classes = [SendingAccess]

    @describe(
        "Send an email",
        request=SendEmail,
        response=EmailAccepted,
        also=(503,),
        parameters=[IDEMPOTENCY_KEY],
        tag="Emails",
    )
    def post(self, request: ApiRequest) -> Response:
        return _idempotent(request, "POST /emails", lambda: self._prepare(request))

    @describe("List emails", response=list_of(EmailListed), parameters=PAGE, tag="Emails")
    def get(self, request: ApiRequest) -> Response:
        return Response(page(request, visible(request).without_content(), serialize_list_item))

    def _prepare(self, request: ApiRequest) -> Commit:
        body = parse_email(request.data)
        AttachmentFetcher().fetch(body)
        return lambda: self._accept(request, body)

    def _accept(self, request: ApiRequest, body: SendEmail) -> Response:
        (draft,) = services.accept(request.auth, [body])
        if draft.has_no_recipients:
            return _all_suppressed(draft)
        return Response({"id": str(draft.email.pk)})


class EmailBatchView(ApiView):
    permission_classes = [SendingAccess]

    @describe(
        "Send up to 100 emails",
        request=BATCH,
        also=(503,),
        response=BatchAccepted,
        parameters=[IDEMPOTENCY_KEY, BATCH_VALIDATION],
        tag="Emails",
    )
    def post(self, request: ApiRequest) -> Response:
        mode = request.headers.get("x-batch-validation", "strict")
        if mode not in ("strict", "permissive"):
            raise ValidationFailed({"x-batch-validation": "must be `strict` or `permissive`"})
        return _idempotent(
            request, "POST /emails/batch", lambda: self._prepare(request, mode), variant=mode
        )

    def _prepare(self, request: ApiRequest, mode: str) -> Commit:
        items = request.data
        if not isinstance(items, list) or not 1 <= len(items) <= MAX_BATCH:
            raise ValidationFailed({"body": f"must be a list of 1 to {MAX_BATCH} emails"})
        if mode == "permissive":
            valid, errors = _validate_each(request, items)
            return lambda: Response({"data": _accept_batch(request, valid), "errors": errors})
        bodies = [parse_email(item, prefix=f"{index}.") for index, item in enumerate(items)]
        fetcher = AttachmentFetcher()
        for index, each in enumerate(bodies):
            fetcher.fetch(each, prefix=f"{index}.")
        return lambda: Response({"data": _accept_batch(request, bodies)})


class EmailView(ApiView):
    def get_permissions(self) -> list[BasePermission]:
        return [SendingAccess() if self.request.method in SAFE_METHODS else FullAccess()]

    @describe("Get an email", response=EmailOut, tag="Emails")
    def get(self, request: ApiRequest, email_id: str) -> Response:
        return Response(serialize_email(views.find(visible(request), email_id, "email")))

    @describe("Reschedule an email", request=Reschedule, response=EmailChanged, tag="Emails")
    def patch(self, request: ApiRequest, email_id: str) -> Response:
        email = find(request, email_id)
        reschedule(email, parse(Reschedule, request.data).scheduled_at)
        return Response(serialize_changed(email))


class EmailCancelView(ApiView):
    @describe("Cancel an email", response=EmailChanged, tag="Emails")
    def post(self, request: ApiRequest, email_id: str) -> Response:
        email = find(request, email_id)
        cancel(email)
        return Response(serialize_changed(email))


class EmailEventsView(ApiView):
    permission_classes = [SendingAccess]

    @describe(
        "List the events of an email",
        response=list_of(EmailEventOut),
        parameters=PAGE,
        tag="Emails",
    )
    def get(self, request: ApiRequest, email_id: str) -> Response:
        email = find(request, email_id)
        return Response(page(request, EmailEvent.objects.filter(email=email), serialize_event))


class EmailTraceView(ApiView):
    permission_classes = [SendingAccess]

    @describe("Trace an email", response=EmailTrace, tag="Emails")
    def get(self, request: ApiRequest, email_id: str) -> Response:
        return Response(trace(find(request, email_id)))


def visible(request: ApiRequest) -> EmailQuerySet:
    """The emails that the caller's API key may read; every view here starts from these."""
    return Email.objects.for_key(request.auth)


def find(request: ApiRequest, email_id: str) -> Email:
    """The email, with its content deferred."""
    return views.find(visible(request).without_content(), email_id, "email")


def _idempotent(
    request: ApiRequest, route: str, prepare: Callable[[], Commit], *, variant: str = ""
) -> Response:
    """`prepare` validates the request and fetches its files; its result writes the emails.

    Remote files may be slow, so they are fetched before the transaction that holds the request's
    Idempotency-Key, and not at all for a repetition.
    """
    if not has_remote_attachments(request.data):
        return idempotent(request, route, lambda: prepare()(), variant=variant)
    kept = kept_answer(request, route, variant=variant)
    return kept or idempotent(request, route, prepare(), variant=variant)


def _accept_batch(request: ApiRequest, bodies: list[SendEmail]) -> list[dict[str, str]]:
    drafts = services.accept(request.auth, bodies, is_batch=True)
    return [{"id": str(draft.email.pk)} for draft in drafts]


def _all_suppressed(draft: services.Draft) -> Response:
    details = {"email_id": str(draft.email.pk), "recipients": draft.suppressed()}
    message = "Every recipient is on the suppression list."
    return Response(error_body(422, "recipient_suppressed", message, details), status=422)


def _validate_each(
    request: ApiRequest, items: list[Any]
) -> tuple[list[SendEmail], list[dict[str, Any]]]:
    """The valid emails, and the errors of the others with their index in the batch."""
    parsed: list[tuple[int, SendEmail]] = []
    errors: dict[int, str] = {}
    for index, item in enumerate(items):
        try:
            parsed.append((index, parse_email(item)))
        except DomainError as error:
            errors[index] = error.message
    problems = services.check_domains(request.auth, [body for _, body in parsed])
    valid, fetcher = [], AttachmentFetcher()
    for (index, body), problem in zip(parsed, problems, strict=True):
        try:
            if problem is not None:
                raise problem
            fetcher.fetch(body)
            valid.append(body)
        except DomainError as error:
            errors[index] = error.message
    return valid, [{"index": index, "message": errors[index]} for index in sorted(errors)]
