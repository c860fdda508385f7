"""The catalogue of event types: what each means, which app emits it, its payload and an example."""

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
        """The pattern that matches this type and its siblings: `email.*`."""
        return self.name.split(".")[0] + ".*"

    @cached_property
    def schema(self) -> dict[str, Any]:
        """JSON Schema of the whole body, as we publish it: additional fields are allowed."""
        return schema_of(self._model, description=self.meaning)

    @cached_property
    def closed_schema(self) -> dict[str, Any]:
        """The same schema without additional fields, for tests."""
        return schema_of(self._model, description=self.meaning, closed=True)

    @property
    def example_text(self) -> str:
        return (EXAMPLES / f"{self.name}.json").read_text()

    @cached_property
    def example(self) -> dict[str, Any]:
        """An example of the whole body."""
        body: dict[str, Any] = orjson.loads(self.example_text)
        return body

    def example_data(self) -> dict[str, Any]:
        """A new copy of the example's payload, which the caller may change."""
        return data_of(self.example_text)

    @property
    def _model(self) -> Any:
        return model_of(self.envelope, self.name, self.payload)


_TYPES = [
    EventType(
        "email.scheduled",
        "emails",
        "The email was accepted and is scheduled to be sent later.",
        emails.EmailScheduled,
    ),
    EventType(
        "email.sent", "emails", "The provider accepted the email for delivery.", emails.EmailSent
    ),
    EventType(
        "email.delivered",
        "ingest",
        "The recipient's mail server accepted the email.",
        emails.EmailDelivered,
    ),
    EventType(
        "email.delivery_delayed",
        "ingest",
        "Delivery to the recipient's mail server is delayed; the provider retries.",
        emails.EmailDeliveryDelayed,
    ),
    EventType(
        "email.bounced",
        "ingest",
        "The email bounced: it could not be delivered to the recipient.",
        emails.EmailBounced,
    ),
    EventType(
        "email.complained",
        "ingest",
        "The recipient marked the email as spam.",
        emails.EmailComplained,
    ),
    EventType("email.opened", "emails", "The email was opened.", emails.EmailOpened),
    EventType("email.clicked", "emails", "A link in the email was clicked.", emails.EmailClicked),
    EventType(
        "email.delayed",
        "emails",
        "The provider could not accept the email yet; sending is retried.",
        emails.EmailDelayed,
    ),
    EventType(
        "email.failed",
        "emails",
        "The email could not be sent and will not be retried.",
        emails.EmailFailed,
    ),
    EventType(
        "email.suppressed",
        "emails",
        "A recipient was dropped because the address is on the suppression list.",
        emails.EmailSuppressed,
    ),
    EventType("email.received", "receiving", "An email was received.", emails.EmailReceived),
    EventType("contact.created", "contacts", "A contact was created.", contacts.ContactData),
    EventType("contact.updated", "contacts", "A contact was updated.", contacts.ContactUpdated),
    EventType("contact.deleted", "contacts", "A contact was deleted.", contacts.ContactData),
    EventType("domain.created", "domains", "A domain was created.", domains.DomainData),
    EventType(
        "domain.updated", "domains", "A domain's status or settings changed.", domains.DomainUpdated
    ),
    EventType("domain.deleted", "domains", "A domain was deleted.", domains.DomainData),
    EventType(
        "suppression.added",
        "contacts",
        "An address was added to the suppression list: it gets no more email.",
        contacts.SuppressionData,
    ),
    EventType(
        "suppression.removed",
        "contacts",
        "An address was removed from the suppression list: it can get email again.",
        contacts.SuppressionData,
    ),
    EventType(
        "message.received",
        "inboxes",
        "A mailbox received a message.",
        mailbox.MessageReceived,
        Envelope.MAILBOX,
    ),
    EventType(
        "inbox.suspended",
        "inboxes",
        "A mailbox was suspended: it can no longer send.",
        mailbox.Suspended,
        Envelope.MAILBOX,
    ),
    EventType(
        "inbox.reactivated",
        "inboxes",
        "A mailbox was reactivated: it can send again.",
        mailbox.Reactivated,
        Envelope.MAILBOX,
    ),
    EventType(
        "pod.suspended",
        "inboxes",
        "A pod was suspended: its mailboxes can no longer send.",
        mailbox.Suspended,
        Envelope.MAILBOX,
    ),
    EventType(
        "pod.reactivated",
        "inboxes",
        "A pod was reactivated: its mailboxes can send again.",
        mailbox.Reactivated,
        Envelope.MAILBOX,
    ),
    EventType(
        "webhook.test", "webhooks", "A test event that a user requested.", webhooks.WebhookTest
    ),
    EventType(
        "webhook.failing",
        "webhooks",
        "An endpoint has been failing for a day.",
        webhooks.WebhookFailing,
    ),
    EventType(
        "webhook.disabled", "webhooks", "An endpoint was disabled.", webhooks.WebhookDisabled
    ),
]
CATALOGUE = {kind.name: kind for kind in _TYPES}
GROUPS = {"*"} | {kind.group for kind in _TYPES}


def is_subscribable(pattern: str) -> bool:
    """Whether an endpoint can subscribe to this: a type, a group such as `email.*`, or `*`."""
    return pattern in CATALOGUE or pattern in GROUPS


def matches(patterns: "set[str] | list[str]", type_name: str) -> bool:
    return type_name in patterns or "*" in patterns or type_name.split(".")[0] + ".*" in patterns
