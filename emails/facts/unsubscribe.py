"""Unsubscribing by the link in a mail: one click, and no more mail of that workspace."""

from dataclasses import replace

from django.db import IntegrityError, transaction
from django.utils import timezone

from contacts.suppressions import SIMULATOR, record_unsubscribe, suppress, wish
from core.addresses import identity
from emails.facts.record import EmailFact, record_facts
from tracking.tokens import Unsubscribe


class NobodyToTell(Exception):
    """The workspace that sent the mail is gone, and with it all that it could send."""


def unsubscribe(said: Unsubscribe) -> None:
    """Whatever it was before: the address is suppressed and its contact unsubscribed.

    Done again it changes nothing, unless somebody has subscribed the address meanwhile.
    """
    address = identity(said.address)
    if address.endswith(SIMULATOR):
        return
    try:
        with transaction.atomic():
            record_facts([_fact(said)])
            # For a fact that was known before, or an email that is gone.
            suppress([replace(wish(said.workspace_id, address), email_id=said.email_id)])
            record_unsubscribe([(said.workspace_id, address)])
    except IntegrityError:
        raise NobodyToTell from None


def _fact(said: Unsubscribe) -> EmailFact:
    """For the mail's own history; others are told of the contact and the suppression."""
    return EmailFact(
        email_id=said.email_id,
        type="unsubscribed",
        recipient=said.address,
        occurred_at=timezone.now(),
        suppress_as="unsubscribed",
        is_published=False,
    )
