"""Which facts suppress: not those that repeat what SES's own list held before a removal."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from contacts.ses_removals import find_removals
from core.addresses import identity
from emails.models import Email

if TYPE_CHECKING:
    from emails.facts.record import EmailFact

# SES's list is not consistent at once.
_SETTLES_WITHIN = timedelta(seconds=30)


def find_suppressing(
    facts: Mapping[UUID, "EmailFact"], emails: Mapping[UUID, Email]
) -> "dict[UUID, EmailFact]":
    """Those facts that suppress their recipients.

    SES accepts mail to a listed address and reports a bounce or a complaint of the subtype
    OnAccountSuppressionList. When somebody has removed the suppression, such a report of mail that
    was sent before SES took the address off its list says nothing new, and suppresses nobody.
    """
    found = {
        fact_id: fact for fact_id, fact in facts.items() if fact.suppress_as and fact.recipient
    }
    listed = {
        fact_id: (emails[fact.email_id].workspace_id, identity(fact.recipient))
        for fact_id, fact in found.items()
        if _is_from_list(fact)
    }
    removals = find_removals(listed.values())
    for fact_id, key in listed.items():
        if key in removals and _is_outdated(emails[found[fact_id].email_id], removals[key]):
            del found[fact_id]
    return found


def _is_outdated(email: Email, removed_at: datetime | None) -> bool:
    sent_at = email.sent_at
    return not removed_at or not sent_at or sent_at <= removed_at + _SETTLES_WITHIN


def _is_from_list(fact: "EmailFact") -> bool:
    subtype = fact.payload.get("bounceSubType") or fact.payload.get("complaintSubType")
    return re.sub(r"[^a-z]", "", str(subtype).lower()) == "onaccountsuppressionlist"
