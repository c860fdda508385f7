"""Emails the operators about failing webhook endpoints, like any other email."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from django.conf import settings

from accounts.models import Workspace
from core.errors import DomainError
from core.times import iso
from domains.models import Domain
from domains.services import require_sending
from emails.content.addresses import Mailbox, parse
from emails.content.outgoing_message import OutgoingMessage
from emails.services import accept_internal
from events.models import Event

logger = logging.getLogger(__name__)

_MAX_SUBJECT = 200  # a URL may have 2,048 characters; the text contains all of it


def alert_operators(events: Sequence[Event]) -> None:
    """One email per event of ALERTED_TYPES, to all operators; the number of statements is constant.

    The email has the event's id, so dispatching an event again sends no second email. Broken
    settings must not raise: the events are dispatched all the same.
    """
    if not settings.OPERATOR_EMAILS:
        return
    try:
        template, domain = _template()
    except DomainError as error:
        logger.error(
            "Could not alert the operators about failing webhook endpoints",
            extra={"reason": str(error), "events": [str(event.pk) for event in events]},
        )
        return
    names = _workspace_names({event.workspace_id for event in events})
    accept_internal(
        domain,
        {event.pk: _alert(template, event, names[event.workspace_id]) for event in events},
    )


def find_problems() -> list[str]:
    """Warnings for `/readyz`: operators are configured, but they can't be emailed."""
    if not settings.OPERATOR_EMAILS:
        return []
    try:
        _template()
    except DomainError as error:
        return [f"Operators get no alerts about failing webhook endpoints: {error}"]
    return []


def _template() -> tuple[OutgoingMessage, Domain]:
    """An alert without subject and text, and its From domain.

    DomainError if the settings contain an invalid mailbox or a domain that can't send.
    """
    sender = _mailbox("OPERATOR_EMAIL_FROM", settings.OPERATOR_EMAIL_FROM)
    operators = [_mailbox("OPERATOR_EMAILS", each) for each in settings.OPERATOR_EMAILS]
    template = OutgoingMessage(sender=sender, to=operators, subject="-", text="-")
    try:
        template.check()
    except DomainError as error:
        raise DomainError(f"OPERATOR_EMAILS: {error}") from None
    # Domain names are unique in the installation, so no workspace is needed.
    domain = (
        Domain.objects.filter(name=sender.domain, deleted_at=None)
        .select_related("workspace")
        .first()
    )
    return template, require_sending(domain, sender.domain)


def _mailbox(setting: str, value: str) -> Mailbox:
    try:
        return parse(value)
    except ValueError as error:
        raise DomainError(f"{setting}: {error}") from None


def _workspace_names(ids: set[UUID]) -> dict[UUID, str]:
    return dict(Workspace.objects.filter(pk__in=ids).values_list("pk", "name"))


def _alert(template: OutgoingMessage, event: Event, workspace: str) -> OutgoingMessage:
    subject, text = _TEXTS[event.type]
    data = event.data()
    details = {
        "url": data["endpoint"],
        "workspace": workspace,
        "since": data["failing_since"] or iso(event.created_at),
        "reason": data.get("reason") or data.get("last_error"),
        "disabled_from": data.get("disabled_from"),
        "id": data["webhook_id"],
        "admin": f"{settings.BASE_URL}/admin/webhooks/endpoint/{data['webhook_id']}/change/",
    }
    return replace(
        template,
        subject=subject.format(**details)[:_MAX_SUBJECT],
        text=text.format(**details),
    )


_TEXTS = {
    "webhook.failing": (
        "Webhook endpoint failing: {url}",
        """\
A webhook endpoint has not accepted any event since {since}.

Workspace: {workspace}
Endpoint: {url}
Last error: {reason}

OpenSend keeps retrying its events. If none succeeds, the endpoint is disabled
at {disabled_from}.

In the admin: {admin}
""",
    ),
    "webhook.disabled": (
        "Webhook endpoint disabled: {url}",
        """\
A webhook endpoint was disabled. It no longer receives events.

Workspace: {workspace}
Endpoint: {url}
Failing since: {since}
Reason: {reason}

Once it works again, enable it, in the admin or with
PATCH /webhooks/{id} {{"status": "enabled"}}, and send the events that it missed:

    manage.py recover_webhook {id} --since {since}

In the admin: {admin}
""",
    ),
}
ALERTED_TYPES = frozenset(_TEXTS)
