"""What each operation does, and its parameters."""

from typing import Any

from opensend.api_reference import samples

OPERATIONS: dict[str, str] = {
    # API keys
    "create_api_key": "The token is in this response only: store it now. A key with"
    " `sending_access` sends email and reads what it sent, and `domain_id` restricts it to one"
    " domain.",
    "list_api_keys": "The keys that are not revoked, newest first, without their tokens.",
    "get_api_key": "One key, without its token.",
    "change_api_key": "Omitted fields stay as they are. The change applies from the next request"
    " with the key.",
    "revoke_api_key": "The next request with the key is refused. A key cannot be restored.",
    # Contacts
    "create_contact": "An address can be a contact once per workspace.",
    "list_contacts": "All contacts, newest first.",
    "get_contact": "By id or by address.",
    "change_contact": "Omitted fields and properties keep their values; a property set to null is"
    " removed. Setting `unsubscribed` adds or removes the suppression of the address.",
    "delete_contact": "A suppression of the address stays: deleting a contact is no consent.",
    # Domains
    "add_domain": "Creates the SES identity. Publish the `records` of the response in your DNS,"
    " then verify the domain.",
    "list_domains": "All domains with their DNS records, newest first.",
    "get_domain": "One domain with its DNS records and their status.",
    "change_domain": "Omitted settings stay as they are. They apply to email that is accepted from"
    " now on.",
    "remove_domain": "Nothing can be sent from it any more, and its SES identity is deleted. Email"
    " that was accepted before is still sent.",
    "verify_domain": "Asks SES at once whether the DNS records were found. OpenSend also asks by"
    " itself until the domain is verified.",
    # Emails
    "send_email": "Accepts an email and returns its id; a worker sends it at once, or at"
    " `scheduled_at`. Suppressed recipients are dropped; if there is no other, the response is 422"
    " `recipient_suppressed`. With an `Idempotency-Key` a repeated request sends nothing twice.",
    "list_emails": "The emails that were sent with this workspace's keys, newest first; a key with"
    " `sending_access` sees its own.",
    "get_email": "One email with its content and the status of each recipient.",
    "reschedule_email": "Only while its status is `scheduled`.",
    "cancel_email": "Only until it leaves: an email that is already being sent is 409.",
    "list_events_of_email": "What is known about the email, newest first: sent, delivered, bounced,"
    " opened, clicked and so on.",
    "trace_email": "The whole life of one email: how it was accepted, the provider's answers, each"
    " event, and the webhook deliveries of each event.",
    "list_attachments_of_email": "With links to their content, which expire.",
    "get_attachment_of_email": "With a link to its content, which expires.",
    "send_up_to_100_emails": "By default all emails are accepted or none. With `x-batch-validation:"
    " permissive` the valid ones are accepted, and `errors` names the others by index.",
    "list_received_emails": "This version receives no mail: the list is empty.",
    # Suppressions
    "suppress_address": "Nothing is sent to the address until the suppression is removed. A"
    " stronger origin replaces a weaker one.",
    "list_suppressions": "All suppressed addresses, newest first, with filters.",
    "get_suppression": "By id or by address.",
    "remove_suppression": "By id or by address. Email to the address is sent again.",
    "suppress_addresses": "Up to 100 addresses at once. Addresses that are suppressed already are"
    " part of the response.",
    "remove_suppressions": "Up to 100 at once, by address or by id. Unknown ones are ignored.",
    "export_suppressions": "All suppressions, or those that match the filters, as a CSV file of any"
    " length.",
    "import_suppressions": "A CSV file of any length, as the body or as an upload, with a column"
    " `email` and optionally `origin`. Invalid lines are counted and reported, the others count.",
    # Webhooks
    "create_webhook": "The signing secret is in this response only: store it now. The endpoint must"
    " be an https URL on a public network.",
    "list_webhooks": "All webhooks, newest first, without their secrets.",
    "get_webhook": "One webhook, without its secret.",
    "change_webhook": "Omitted fields stay as they are; lists and headers are replaced as a whole."
    " Enabling a disabled webhook returns `recover_since`.",
    "delete_webhook": "Pending deliveries are dropped.",
    "list_events_of_webhook": "The deliveries to this webhook, newest first.",
    "get_event_of_webhook": "One delivery with the body that is sent.",
    "list_attempts_at_event_of_webhook": "Each request of a delivery with its response.",
    "replay_event_of_webhook": "Sends one event again, with the same id and body. 409 while the"
    " webhook is disabled.",
    "recover_events_of_webhook": "Sends the events of a time span again in the background, with the"
    " same ids and bodies.",
    "list_recoveries_of_webhook": "Past and running recoveries, newest first.",
    "get_recovery_of_webhook": "One recovery and how far it got.",
    "rotate_signing_secret": "The new secret is in this response only. Requests are signed with the"
    " previous one too, for 24 hours.",
    "test_webhook": "Sends a signed example event at once and returns the endpoint's response.",
    # Operation
    "healthz": "For load balancers: it needs neither the database nor Redis.",
    "readyz": "The state of database, migrations, Redis, beat, workers and queues. 503 when"
    " requests cannot be served. Keep it away from the internet.",
    "metrics": "Counters and histograms in the text format. Keep it away from the internet.",
}

# Name -> description and example.
PARAMETERS: dict[str, tuple[str, Any]] = {
    "key_id": ("The id of the API key.", samples.API_KEY),
    "id_or_email": ("The id or the email address.", samples.TO),
    "domain_id": ("The id of the domain.", samples.DOMAIN),
    "email_id": ("The id of the email.", samples.EMAIL),
    "attachment_id": ("The id of the attachment.", samples.ATTACHMENT),
    "webhook_id": ("The id of the webhook.", samples.WEBHOOK),
    "event_id": ("The id of the event, as in the webhook's body.", samples.EVENT),
    "recovery_id": ("The id of the recovery.", samples.RECOVERY),
    # Not filled in by "Try it out", as an example would be: they are optional, and most requests
    # go without them.
    "limit": ("Rows on the page.", None),
    "status": ("Only rows with this status.", None),
}
