"""Unsubscribing by the link in an email: one click stops all mail of that workspace."""

from dataclasses import replace

from django.db import IntegrityError, transaction

from contacts.suppressions import record_unsubscribe, suppress, unsubscribe_request
from core.addresses import identity, is_simulated
from emails.facts.constructors import unsubscribed
from emails.facts.record import record_facts
from tracking.tokens import Unsubscribe


class WorkspaceGone(Exception):
    """The workspace that sent the email is deleted, so there is nothing to unsubscribe from."""


def unsubscribe(request: Unsubscribe) -> None:
    """Suppress the address and unsubscribe its contact; WorkspaceGone if there is no workspace.

    Idempotent, unless the address was subscribed again in between.
    """
    address = identity(request.address)
    if is_simulated(address):
        return
    try:
        with transaction.atomic():
            record_facts([unsubscribed(request)])
            # record_facts suppresses nothing for a duplicate fact or a deleted email.
            suppress(
                [
                    replace(
                        unsubscribe_request(request.workspace_id, address),
                        email_id=request.email_id,
                    )
                ]
            )
            record_unsubscribe([(request.workspace_id, address)])
    except IntegrityError:
        raise WorkspaceGone from None
