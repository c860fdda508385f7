"""`/emails`: sending, and reading what was sent."""

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
from core.errors import DomainError, ValidationFailed, body
from emails import services
from emails.api.bodies import Reschedule, SendEmail, parse_email
from emails.api.representations import (
    BatchAccepted,
    EmailAccepted,
    EmailChanged,
    EmailEventOut,
    EmailListed,
    EmailOut,
    changed,
    event_shown,
    listed,
    shown,
)
from emails.api.trace import EmailTrace, trace
from emails.content.remote_attachments import Fetching, are_named
from emails.models import Email, EmailEvent, EmailQuerySet
from emails.scheduling import cancel, reschedule

Act = Callable[[], Response]

MAX_BATCH = 100
BATCH_VALIDATION = OpenApiParameter(
    "x-batch-validation",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    enum=["strict", "permissive"],
    description="strict (the default): all or nothing; permissive: the good ones go",
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
        return _once(request, "POST /emails", lambda: self._ready(request))

    @describe("List emails", response=list_of(EmailListed), parameters=PAGE, tag="Emails")
    def get(self, request: ApiRequest) -> Response:
        return Response(page(request, visible(request).without_content(), listed))

    def _ready(self, request: ApiRequest) -> Act:
        wanted = parse_email(request.data)
        Fetching().fill(wanted)
        return lambda: self._send(request, wanted)

    def _send(self, request: ApiRequest, wanted: SendEmail) -> Response:
        (draft,) = services.accept(request.auth, [wanted])
        if draft.has_no_recipients:
            return _suppressed(draft)
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
        return _once(
            request, "POST /emails/batch", lambda: self._ready(request, mode), variant=mode
        )

    def _ready(self, request: ApiRequest, mode: str) -> Act:
        items = request.data
        if not isinstance(items, list) or not 1 <= len(items) <= MAX_BATCH:
            raise ValidationFailed({"body": f"must be a list of 1 to {MAX_BATCH} emails"})
        if mode == "permissive":
            good, errors = _sifted(request, items)
            return lambda: Response({"data": _accepted(request, good), "errors": errors})
        wanted = [parse_email(item, prefix=f"{index}.") for index, item in enumerate(items)]
        fetching = Fetching()
        for index, each in enumerate(wanted):
            fetching.fill(each, prefix=f"{index}.")
        return lambda: Response({"data": _accepted(request, wanted)})


class EmailView(ApiView):
    def get_permissions(self) -> list[BasePermission]:
        return [SendingAccess() if self.request.method in SAFE_METHODS else FullAccess()]

    @describe("Get an email", response=EmailOut, tag="Emails")
    def get(self, request: ApiRequest, email_id: str) -> Response:
        return Response(shown(views.find(visible(request), email_id, "email")))

    @describe("Reschedule an email", request=Reschedule, response=EmailChanged, tag="Emails")
    def patch(self, request: ApiRequest, email_id: str) -> Response:
        email = find(request, email_id)
        reschedule(email, parse(Reschedule, request.data).scheduled_at)
        return Response(changed(email))


class EmailCancelView(ApiView):
    @describe("Cancel an email", response=EmailChanged, tag="Emails")
    def post(self, request: ApiRequest, email_id: str) -> Response:
        email = find(request, email_id)
        cancel(email)
        return Response(changed(email))


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
        return Response(page(request, EmailEvent.objects.filter(email=email), event_shown))


class EmailTraceView(ApiView):
    permission_classes = [SendingAccess]

    @describe("Trace an email", response=EmailTrace, tag="Emails")
    def get(self, request: ApiRequest, email_id: str) -> Response:
        return Response(trace(find(request, email_id)))


def visible(request: ApiRequest) -> EmailQuerySet:
    """The only way this API reaches emails: those that the caller's key may read."""
    return Email.objects.for_key(request.auth)


def find(request: ApiRequest, email_id: str) -> Email:
    """The email, without its texts until they are asked for."""
    return views.find(visible(request).without_content(), email_id, "email")


def _once(
    request: ApiRequest, route: str, ready: Callable[[], Act], *, variant: str = ""
) -> Response:
    """`ready` reads the request and fetches its files; what it returns then writes the emails.

    Files come from servers that take their time, so they are fetched before the transaction that
    holds the request's Idempotency-Key; for a repetition they are not fetched at all.
    """
    if not are_named(request.data):
        return idempotent(request, route, lambda: ready()(), variant=variant)
    kept = kept_answer(request, route, variant=variant)
    return kept or idempotent(request, route, ready(), variant=variant)


def _accepted(request: ApiRequest, wanted: list[SendEmail]) -> list[dict[str, str]]:
    drafts = services.accept(request.auth, wanted, is_batch=True)
    return [{"id": str(draft.email.pk)} for draft in drafts]


def _suppressed(draft: services.Draft) -> Response:
    details = {"email_id": str(draft.email.pk), "recipients": draft.suppressed()}
    message = "Every recipient is on the suppression list, so there is nobody to send to."
    return Response(body(422, "recipient_suppressed", message, details), status=422)


def _sifted(request: ApiRequest, items: list[Any]) -> tuple[list[SendEmail], list[dict[str, Any]]]:
    """The emails that may go, and what is wrong with the others by their place in the batch."""
    parsed: list[tuple[int, SendEmail]] = []
    errors: dict[int, str] = {}
    for index, item in enumerate(items):
        try:
            parsed.append((index, parse_email(item)))
        except DomainError as error:
            errors[index] = error.message
    problems = services.require_domains(request.auth, [wanted for _, wanted in parsed])
    good, fetching = [], Fetching()
    for (index, wanted), problem in zip(parsed, problems, strict=True):
        try:
            if problem is not None:
                raise problem
            fetching.fill(wanted)
            good.append(wanted)
        except DomainError as error:
            errors[index] = error.message
    return good, [{"index": index, "message": errors[index]} for index in sorted(errors)]
