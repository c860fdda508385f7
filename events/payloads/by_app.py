"""The types of apps without an `event_types` module; goes away with the modules next to it."""

from importlib.util import find_spec

from events.catalogue import EventType
from events.payloads import contacts, domains, emails, webhooks

_BY_APP = {
    "emails": [
        EventType(
            "email.scheduled",
            "emails",
            "The email was accepted and is scheduled to be sent later.",
            emails.EmailScheduled,
        ),
        EventType(
            "email.sent",
            "emails",
            "The provider accepted the email for delivery.",
            emails.EmailSent,
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
        EventType(
            "email.clicked", "emails", "A link in the email was clicked.", emails.EmailClicked
        ),
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
    ],
    "receiving": [
        EventType("email.received", "receiving", "An email was received.", emails.EmailReceived),
    ],
    "contacts": [
        EventType("contact.created", "contacts", "A contact was created.", contacts.ContactData),
        EventType("contact.updated", "contacts", "A contact was updated.", contacts.ContactUpdated),
        EventType("contact.deleted", "contacts", "A contact was deleted.", contacts.ContactData),
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
    ],
    "domains": [
        EventType("domain.created", "domains", "A domain was created.", domains.DomainData),
        EventType(
            "domain.updated",
            "domains",
            "A domain's status or settings changed.",
            domains.DomainUpdated,
        ),
        EventType("domain.deleted", "domains", "A domain was deleted.", domains.DomainData),
    ],
    "webhooks": [
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
    ],
}


def unlisted_types() -> list[EventType]:
    """Those of the apps without a module `event_types`."""
    return [
        kind
        for app, kinds in _BY_APP.items()
        if find_spec(f"{app}.event_types") is None
        for kind in kinds
    ]
