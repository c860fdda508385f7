"""Every type of event there is: which part says it, when, with what payload, and an example."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import orjson

from events.envelopes import Envelope, data_of, model_of
from events.json_schemas import schema_of
from events.payloads import contacts, domains, emails, mailbox, webhooks
from events.payloads.base import Payload

EXAMPLES = Path(__file__).parent / "examples"


@dataclass(frozen=True)
class EventType:
    name: str
    emitted_by: str
    meaning: str
    payload: type[Payload]
    envelope: Envelope = Envelope.STANDARD

    @property
    def group(self) -> str:
        """What subscribes to this type and its like: `email.*`."""
        return self.name.split(".")[0] + ".*"

    @cached_property
    def schema(self) -> dict[str, Any]:
        """JSON Schema of the whole body, as published: further fields are allowed."""
        return schema_of(self._model, description=self.meaning)

    @cached_property
    def closed_schema(self) -> dict[str, Any]:
        """The same, but allowing no field that nobody wrote down."""
        return schema_of(self._model, description=self.meaning, closed=True)

    @property
    def example_text(self) -> str:
        return (EXAMPLES / f"{self.name}.json").read_text()

    @cached_property
    def example(self) -> dict[str, Any]:
        """A whole body."""
        body: dict[str, Any] = orjson.loads(self.example_text)
        return body

    def example_data(self) -> dict[str, Any]:
        """The example's payload, for the caller to change."""
        return data_of(self.example_text)

    @property
    def _model(self) -> Any:
        return model_of(self.envelope, self.name, self.payload)


_TYPES = [
    EventType(
        "email.scheduled",
        "emails",
        "An email was accepted to be sent later.",
        emails.EmailScheduled,
    ),
    EventType("email.sent", "emails", "The provider took the email.", emails.EmailSent),
    EventType(
        "email.delivered",
        "ingest",
        "The recipient's server took the email.",
        emails.EmailDelivered,
    ),
    EventType(
        "email.delivery_delayed",
        "ingest",
        "The recipient's server puts the email off.",
        emails.EmailDeliveryDelayed,
    ),
    EventType(
        "email.bounced", "ingest", "The recipient's server refused the email.", emails.EmailBounced
    ),
    EventType(
        "email.complained",
        "ingest",
        "The recipient called the email spam.",
        emails.EmailComplained,
    ),
    EventType("email.opened", "emails", "The email was opened.", emails.EmailOpened),
    EventType("email.clicked", "emails", "A link of the email was followed.", emails.EmailClicked),
    EventType(
        "email.delayed",
        "emails",
        "The provider doesn't take the email for now.",
        emails.EmailDelayed,
    ),
    EventType("email.failed", "emails", "The email will not be sent.", emails.EmailFailed),
    EventType(
        "email.suppressed",
        "emails",
        "A recipient is on the suppression list.",
        emails.EmailSuppressed,
    ),
    EventType("email.received", "receiving", "An email came in.", emails.EmailReceived),
    EventType("contact.created", "contacts", "A contact was added.", contacts.ContactData),
    EventType("contact.updated", "contacts", "A contact changed.", contacts.ContactUpdated),
    EventType("contact.deleted", "contacts", "A contact was removed.", contacts.ContactData),
    EventType("domain.created", "domains", "A domain was added.", domains.DomainData),
    EventType(
        "domain.updated", "domains", "A domain's status or settings changed.", domains.DomainUpdated
    ),
    EventType("domain.deleted", "domains", "A domain was removed.", domains.DomainData),
    EventType(
        "suppression.added",
        "contacts",
        "An address will get no more mail.",
        contacts.SuppressionData,
    ),
    EventType(
        "suppression.removed",
        "contacts",
        "An address may get mail again.",
        contacts.SuppressionData,
    ),
    EventType(
        "message.received",
        "inboxes",
        "A mailbox got a message.",
        mailbox.MessageReceived,
        Envelope.MAILBOX,
    ),
    EventType(
        "inbox.suspended",
        "inboxes",
        "A mailbox may not send any more.",
        mailbox.Suspended,
        Envelope.MAILBOX,
    ),
    EventType(
        "inbox.reactivated",
        "inboxes",
        "A mailbox may send again.",
        mailbox.Reactivated,
        Envelope.MAILBOX,
    ),
    EventType(
        "pod.suspended",
        "inboxes",
        "A pod's mailboxes may not send any more.",
        mailbox.Suspended,
        Envelope.MAILBOX,
    ),
    EventType(
        "pod.reactivated",
        "inboxes",
        "A pod's mailboxes may send again.",
        mailbox.Reactivated,
        Envelope.MAILBOX,
    ),
    EventType(
        "webhook.test", "webhooks", "A sample that somebody asked for.", webhooks.WebhookTest
    ),
    EventType(
        "webhook.failing",
        "webhooks",
        "An endpoint has been failing for a day.",
        webhooks.WebhookFailing,
    ),
    EventType(
        "webhook.disabled", "webhooks", "An endpoint was switched off.", webhooks.WebhookDisabled
    ),
]
CATALOGUE = {kind.name: kind for kind in _TYPES}
GROUPS = {"*"} | {kind.group for kind in _TYPES}


def is_subscribable(pattern: str) -> bool:
    """Whether an endpoint may ask for this: a type, a group like `email.*`, or `*`."""
    return pattern in CATALOGUE or pattern in GROUPS


def matches(patterns: "set[str] | list[str]", type_name: str) -> bool:
    return type_name in patterns or "*" in patterns or type_name.split(".")[0] + ".*" in patterns
