"""Parses one SES event, and states its facts once its email is known."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from core.db.json_values import as_text, loads, storable
from emails.content.mime import ID_HEADER
from emails.facts.record import EmailFact
from emails.providers.ses import EMAIL_TAG, wire_message_id
from ingest.callbacks import Unparsable
from ingest.ses_events.fields import canonical, parse_time
from ingest.ses_events.kinds import KINDS, SUBSCRIPTION, Kind, Reported
from ingest.ses_events.recipients import Attribution, Entry, attribute, read_entries

_MAX_MESSAGE_ID = 200  # of Email.provider_message_id
_EVERYBODY = Attribution([("", Entry())])


@dataclass(frozen=True, slots=True)
class Report:
    """What an event means for its email.

    `notes` say which parts were ignored or assumed. `needs_review`: nobody knows which of the
    email's recipients the event is about.
    """

    facts: Sequence[EmailFact]
    unsubscribed: Sequence[str] = ()
    notes: Sequence[str] = ()
    needs_review: bool = False


@dataclass(frozen=True, slots=True)
class SesEvent:
    """A parsed event. `email_id` is our own id, if the event has it.

    `occurred_at` and `accepted_at`, when SES accepted the email, are None if the event has no
    readable times. `entries` are what it says about single recipients.
    """

    kind: Kind
    message_id: str
    email_id: UUID | None
    occurred_at: datetime | None
    accepted_at: datetime | None
    body: dict[str, Any]
    entries: list[Entry]

    @property
    def names_recipients(self) -> bool:
        return bool(self.kind.named_in) or self.kind is SUBSCRIPTION

    def report(
        self, email_id: UUID, *, region: str, recipients: Sequence[str], published_at: datetime
    ) -> Report:
        """What the event means for this email, which was sent in `region` to these recipients.

        An event without a time of its own happened when it was published.
        """
        if self.kind is SUBSCRIPTION:
            return self._unsubscribes(recipients)
        at = self.occurred_at or published_at
        found = attribute(self.entries, recipients) if self.kind.named_in else _EVERYBODY
        published = self.kind.published(self.body, self.entries)
        facts = []
        for address, entry in found.affected:
            draft = self.kind.draft(Reported(self.body, published, entry, at))
            fact = draft(
                email_id=email_id,
                recipient=address,
                provider_message_id=self.message_id,
                message_id=wire_message_id(self.message_id, region),
                accepted_at=self.accepted_at or at,
                # Without a recipient, it would change the status of all of them.
                **({"status": "", "suppress_as": ""} if found.is_unknown else {}),
            )
            facts.append(fact)
        return Report(facts, notes=found.notes, needs_review=found.is_unknown)

    def _unsubscribes(self, recipients: Sequence[str]) -> Report:
        """Only from everything: changes of single topics do not count."""
        preferences = self.body.get("newTopicPreferences")
        everything = preferences.get("unsubscribeAll") if isinstance(preferences, dict) else None
        if canonical(everything) != "true":
            return Report([])
        found = attribute(self.entries, recipients)
        addresses = [address for address, _ in found.affected if address]
        return Report([], addresses, found.notes, needs_review=found.is_unknown)


def parse_event(message: str) -> SesEvent:
    """Parse the `Message` of a notification; raises Unparsable."""
    try:
        event = loads(message)
    except ValueError as error:
        raise Unparsable(f"Message is not JSON: {error}") from None
    if not isinstance(event, dict):
        raise Unparsable("Message is not a JSON object")
    mail = event.get("mail")
    if not isinstance(mail, dict) or not isinstance(mail.get("messageId"), str):
        raise Unparsable("Message has no mail.messageId")
    if len(mail["messageId"]) > _MAX_MESSAGE_ID:
        raise Unparsable(f"mail.messageId has more than {_MAX_MESSAGE_ID} characters")
    name = event.get("eventType") or event.get("notificationType")
    kind = KINDS.get(canonical(name))
    if kind is None:
        raise Unparsable(f"unknown event type {as_text(storable(name))[:60]!r}")
    body = event.get(kind.key) or {}
    if not isinstance(body, dict):
        raise Unparsable(f"`{kind.key}` is not an object")
    accepted_at = parse_time(mail.get("timestamp"))
    body = storable(body)
    named = mail.get("destination") if kind is SUBSCRIPTION else body.get(kind.named_in)
    return SesEvent(
        kind=kind,
        message_id=storable(mail["messageId"]),
        email_id=_email_id(mail),
        occurred_at=parse_time(body.get("timestamp")) or accepted_at,
        accepted_at=accepted_at,
        body=body,
        entries=read_entries(named),
    )


def _email_id(mail: dict[str, Any]) -> UUID | None:
    """Our email id from the message tag, else from the header. Only we set these."""
    tags = mail.get("tags")
    tagged = tags.get(EMAIL_TAG) if isinstance(tags, dict) else None
    candidates = tagged if isinstance(tagged, list) else [tagged]
    headers = mail.get("headers")
    for header in headers if isinstance(headers, list) else []:
        if isinstance(header, dict) and str(header.get("name", "")).lower() == ID_HEADER.lower():
            candidates = [*candidates, header.get("value")]
    for candidate in candidates:
        try:
            return UUID(str(candidate).strip())
        except ValueError:
            continue
    return None
