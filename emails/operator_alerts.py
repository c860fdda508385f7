"""Mail to the operators about endpoints that fail: ordinary mail, from a domain of ours."""

import logging
from collections.abc import Sequence
from uuid import UUID

from django.conf import settings

from accounts.models import Workspace
from core.api.bodies import parse
from core.errors import DomainError
from core.times import iso
from domains.models import Domain
from domains.services import require_sending
from emails.api.bodies import SendEmail
from emails.services import accept_internal
from events.models import Event

logger = logging.getLogger(__name__)

_LONGEST_SUBJECT = 200  # a URL may have 2,048 characters; the text has all of them


def tell_operators(events: Sequence[Event]) -> None:
    """One email a notice, to all operators; a handful of statements, whatever the number.

    The email has the event's id, so an event that is heard again is not mailed again. Settings
    that can't work cost the mail and nothing else: others must hear the events all the same.
    """
    notices = [event for event in events if event.type in _TEXTS]
    if not notices or not settings.OPERATOR_EMAILS:
        return
    try:
        blank, domain = _blank()
    except DomainError as error:
        logger.error(
            "The operators could not be told of endpoints that fail",
            extra={"reason": str(error), "events": [str(event.pk) for event in notices]},
        )
        return
    names = _workspace_names({event.workspace_id for event in notices})
    accept_internal(
        domain,
        {event.pk: _filled(blank, event, names[event.workspace_id]) for event in notices},
    )


def problems() -> list[str]:
    """Why no notice can be mailed although operators are named, for `/readyz`."""
    if not settings.OPERATOR_EMAILS:
        return []
    try:
        _blank()
    except DomainError as error:
        return [f"Operators get no mail about endpoints that fail: {error}"]
    return []


def _blank() -> tuple[SendEmail, Domain]:
    """A notice that says nothing yet, and the domain that it leaves from.

    DomainError when the settings name no mailboxes, or no domain that may send.
    """
    addressed = {"from": settings.OPERATOR_EMAIL_FROM, "to": settings.OPERATOR_EMAILS}
    try:
        blank = parse(SendEmail, addressed | {"subject": "-", "text": "-"})
    except DomainError as error:
        raise DomainError(f"OPERATOR_EMAIL_FROM or OPERATOR_EMAILS: {error}") from None
    name = blank.sender.domain
    # A domain's name is unique in the installation, so this finds its workspace too.
    domain = Domain.objects.filter(name=name, deleted_at=None).select_related("workspace").first()
    return blank, require_sending(domain, name)


def _workspace_names(ids: set[UUID]) -> dict[UUID, str]:
    return dict(Workspace.objects.filter(pk__in=ids).values_list("pk", "name"))


def _filled(blank: SendEmail, event: Event, workspace: str) -> SendEmail:
    subject, text = _TEXTS[event.type]
    data = event.data()
    facts = {
        "url": data["endpoint"],
        "workspace": workspace,
        "since": data["failing_since"] or iso(event.created_at),
        "reason": data.get("reason") or data.get("last_error"),
        "disabled_from": data.get("disabled_from"),
        "id": data["webhook_id"],
        "admin": f"{settings.BASE_URL}/admin/webhooks/endpoint/{data['webhook_id']}/change/",
    }
    filled = {
        "subject": subject.format(**facts)[:_LONGEST_SUBJECT],
        "text": text.format(**facts),
    }
    return blank.model_copy(update=filled)


_TEXTS = {
    "webhook.failing": (
        "Webhook endpoint failing: {url}",
        """\
A webhook endpoint has not taken a single event since {since}.

Workspace: {workspace}
Endpoint: {url}
Last error: {reason}

Its events are tried again and again. If none succeeds, the endpoint is switched off
at {disabled_from}.

In the admin: {admin}
""",
    ),
    "webhook.disabled": (
        "Webhook endpoint disabled: {url}",
        """\
A webhook endpoint was switched off. It is sent nothing any more.

Workspace: {workspace}
Endpoint: {url}
Failing since: {since}
Reason: {reason}

Once it works again, enable it, in the admin or with
PATCH /webhooks/{id} {{"status": "enabled"}}, and send what it has missed:

    manage.py recover_webhook {id} --since {since}

In the admin: {admin}
""",
    ),
}
