"""Every type of event there is, and which part says it."""

from typing import NamedTuple


class EventType(NamedTuple):
    name: str
    emitted_by: str
    meaning: str


_TYPES = [
    EventType("email.scheduled", "emails", "An email was accepted to be sent later."),
    EventType("email.sent", "emails", "The provider took the email."),
    EventType("email.delivered", "ingest", "The recipient's server took the email."),
    EventType("email.delivery_delayed", "ingest", "The recipient's server puts the email off."),
    EventType("email.bounced", "ingest", "The recipient's server refused the email."),
    EventType("email.complained", "ingest", "The recipient called the email spam."),
    EventType("email.opened", "ingest", "The email was opened."),
    EventType("email.clicked", "ingest", "A link of the email was followed."),
    EventType("email.delayed", "emails", "The provider doesn't take the email for now."),
    EventType("email.failed", "emails", "The email will not be sent."),
    EventType("email.suppressed", "emails", "A recipient is on the suppression list."),
    EventType("email.received", "receiving", "An email came in."),
    EventType("contact.created", "contacts", "A contact was added."),
    EventType("contact.updated", "contacts", "A contact changed."),
    EventType("contact.deleted", "contacts", "A contact was removed."),
    EventType("domain.created", "domains", "A domain was added."),
    EventType("domain.updated", "domains", "A domain's status or settings changed."),
    EventType("domain.deleted", "domains", "A domain was removed."),
    EventType("suppression.added", "contacts", "An address will get no more mail."),
    EventType("suppression.removed", "contacts", "An address may get mail again."),
    EventType("message.received", "inboxes", "A mailbox got a message."),
    EventType("inbox.suspended", "inboxes", "A mailbox may not send any more."),
    EventType("inbox.reactivated", "inboxes", "A mailbox may send again."),
    EventType("pod.suspended", "inboxes", "A pod's mailboxes may not send any more."),
    EventType("pod.reactivated", "inboxes", "A pod's mailboxes may send again."),
    EventType("webhook.test", "webhooks", "A sample that somebody asked for."),
    EventType("webhook.failing", "webhooks", "An endpoint has been failing for a day."),
    EventType("webhook.disabled", "webhooks", "An endpoint was switched off."),
]
CATALOGUE = {kind.name: kind for kind in _TYPES}
GROUPS = {"*"} | {kind.name.split(".")[0] + ".*" for kind in _TYPES}


def is_subscribable(pattern: str) -> bool:
    """Whether an endpoint may ask for this: a type, a group like `email.*`, or `*`."""
    return pattern in CATALOGUE or pattern in GROUPS


def matches(patterns: "set[str] | list[str]", type_name: str) -> bool:
    return type_name in patterns or "*" in patterns or type_name.split(".")[0] + ".*" in patterns
