"""Which reports only say that SES's own suppression list held an address, before it was removed."""

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from contacts.ses_removals import find_removals
from core.addresses import identity
from emails.models import Email

if TYPE_CHECKING:
    from emails.facts.record import EmailFact

# SES's list is not consistent at once.
_SETTLES_WITHIN = timedelta(seconds=30)


def find_outdated(facts: Mapping[UUID, "EmailFact"], emails: Mapping[UUID, Email]) -> set[UUID]:
    """The ids of those facts that must not suppress the address again.

    SES accepts mail to a listed address and reports a bounce or a complaint of the subtype
    OnAccountSuppressionList. When somebody has removed the suppression, such a report of mail that
    was sent before SES took the address off its list says nothing new.
    """
    reports = {
        fact_id: (emails[fact.email_id].workspace_id, identity(fact.recipient))
        for fact_id, fact in facts.items()
        if fact.suppress_as and fact.recipient and _is_from_list(fact)
    }
    removals = find_removals(reports.values())
    outdated = set()
    for fact_id, key in reports.items():
        if key in removals:
            removed_at, sent_at = removals[key], emails[facts[fact_id].email_id].sent_at
            if not removed_at or not sent_at or sent_at <= removed_at + _SETTLES_WITHIN:
                outdated.add(fact_id)
    return outdated


def _is_from_list(fact: "EmailFact") -> bool:
    subtype = fact.payload.get("bounceSubType") or fact.payload.get("complaintSubType")
    return str(subtype).lower() == "onaccountsuppressionlist"
