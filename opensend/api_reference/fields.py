"""Fields by the names of their schemas; the first pattern that fits and knows the field wins."""

from opensend.api_reference import samples
from opensend.api_reference.shared_fields import DELIVERY, EMAIL, WEBHOOK, Fields

_PAGE: Fields = {
    "object": ("The kind of object.", "list"),
    "data": ("The rows of this page, newest first.", None),
    "has_more": ("Whether there are more rows in the direction of the page.", False),
}

FIELDS: list[tuple[str, Fields]] = [
    ("*List", _PAGE),
    (
        "*ApiKey*",
        {
            "id": ("The id of the key.", samples.API_KEY),
            "name": ("For people.", "Shop, production"),
            "token": ("The key itself. Shown only here.", samples.TOKEN),
            "prefix": ("The beginning of the token, to recognise it by.", samples.TOKEN[:10]),
            "permission": ("`full_access` or `sending_access`.", "sending_access"),
            "domain_id": ("The only domain it may send from; null: all.", samples.DOMAIN),
            "last_used_at": ("To the minute; null: never.", samples.LATER),
        },
    ),
    (
        "TraceKey",
        {"id": ("The id of the key.", samples.API_KEY), "name": ("Its name.", "Shop")},
    ),
    (
        "TestEventSent",
        {
            "type": ("The type of the example.", "email.delivered"),
            "succeeded": ("Whether the endpoint responded with 2xx.", True),
            "status_code": ("The status of the response; null without one.", 200),
            "latency_ms": ("How long it took, in milliseconds.", 84),
        },
    ),
    ("SendTestEvent", {"type": ("The event type to send an example of.", "email.delivered")}),
    (
        "SecretRotated",
        {
            "id": ("The id of the webhook.", samples.WEBHOOK),
            "previous_secret_expires_at": (
                "Until when requests are signed with the previous secret as well.",
                samples.TOMORROW,
            ),
            **WEBHOOK,
        },
    ),
    (
        "WebhookAttempt*",
        {
            "id": ("The id of the attempt.", samples.ATTEMPT),
            "number": ("1 for the first attempt.", 1),
            "http_status_code": ("The status of the response; null without one.", 503),
            "address": ("The address that the request went to.", "203.0.113.10"),
            "duration_ms": ("How long it took, in milliseconds.", 84),
            "sent_at": ("When the request was sent.", samples.LATER),
        },
    ),
    (
        "WebhookEvent*",
        {
            "id": ("The event's id, as in the body and the headers.", samples.EVENT),
            "type": ("The event type.", "email.delivered"),
            "created_at": ("When the delivery was created.", samples.CREATED),
            **DELIVERY,
        },
    ),
    (
        "TraceDelivery",
        {"webhook_id": ("The id of the webhook.", samples.WEBHOOK), **DELIVERY},
    ),
    (
        "Recover*",
        {
            "id": ("The id of the recovery.", samples.RECOVERY),
            "webhook_id": ("The id of the webhook.", samples.WEBHOOK),
            "since": ("The start of the span, inclusive.", "2026-05-10T08:00:00Z"),
            "until": ("The end of the span, exclusive; by default now.", "2026-05-10T10:00:00Z"),
            "only": ("`failed`: failed and missed events; `all`: delivered ones too.", "failed"),
            "status": ("`pending`, `done` or `failed`.", "done"),
            "recovered": ("Events sent again so far.", 42),
            "error": ("Why it stopped early.", "The webhook was disabled."),
        },
    ),
    ("*Webhook*", {"id": ("The id of the webhook.", samples.WEBHOOK), **WEBHOOK}),
    (
        "EventType*",
        {
            "type": ("The name to subscribe to.", "email.delivered"),
            "group": ("The group that it belongs to.", "email.*"),
            "schema": ("The JSON Schema of its body.", {"type": "object"}),
            "example": (
                "An example of its body.",
                {"id": samples.EVENT, "type": "email.delivered", "created_at": samples.CREATED},
            ),
            "emitted_by": ("The part of OpenSend that publishes it.", "emails"),
            "description": ("When it is published.", "The recipient's server accepted the mail."),
        },
    ),
    (
        "TraceEvent",
        {
            "id": ("The event's id.", samples.EVENT),
            "type": ("The event type.", "email.delivered"),
            "dispatched": ("Whether its webhook deliveries have been created.", True),
            "deliveries": ("Its deliveries, one per subscribed webhook.", None),
        },
    ),
    (
        "TraceEntry",
        {
            "type": ("What happened.", "delivered"),
            "data": ("What the provider reported.", {"smtpResponse": "250 2.0.0 OK"}),
            "event": ("The published event; null without one.", None),
        },
    ),
    (
        "TraceAccepted",
        {
            "at": ("When the request was accepted.", samples.CREATED),
            "request_id": ("The `x-request-id` of that request.", "checkout-4711"),
            "api_key": ("The key of that request; null for the installation's own.", None),
        },
    ),
    (
        "TraceNext",
        {
            "at": ("The earliest time of it; null if only others can cause it.", samples.TOMORROW),
            "what": ("The next step.", "Waiting for the provider to report the delivery."),
        },
    ),
    (
        "TraceSending",
        {
            "attempts": ("Calls of the provider so far.", 1),
            "first_attempt_at": ("When it was called first.", samples.CREATED),
            "sent_at": ("When it accepted the email.", samples.LATER),
            **EMAIL,
        },
    ),
    (
        "EmailTrace",
        {
            "accepted": ("How the email came in.", None),
            "sending": ("How it went to the provider.", None),
            "entries": ("What happened to it, oldest first.", None),
            "next": ("What happens next; null when nothing is pending.", None),
            "has_more": ("Whether there are older entries.", False),
            "id": ("The id of the email.", samples.EMAIL),
            "status": EMAIL["status"],
        },
    ),
    (
        "EmailEvent*",
        {
            "id": ("The id of the event.", samples.FACT),
            "type": ("What happened.", "delivered"),
            "data": ("What the provider reported.", {"smtpResponse": "250 2.0.0 OK"}),
        },
    ),
    (
        "RecipientOut",
        {
            "address": ("The address, without a name.", samples.TO),
            "kind": ("`to`, `cc` or `bcc`.", "to"),
            "status": ("The status for this recipient.", "delivered"),
            "status_at": ("Since when.", samples.LATER),
            "detail": ("The provider's words.", "250 2.0.0 OK"),
        },
    ),
    (
        "Attachment*",
        {
            "id": ("The id of the attachment.", samples.ATTACHMENT),
            "filename": ("The name of the file.", "invoice.pdf"),
            "content": ("The file in base64, or a list of byte values.", "SGVsbG8sIHdvcmxkIQ=="),
            "path": (
                "An https URL to fetch the file from.",
                "https://shop.example.com/invoices/4711.pdf",
            ),
            "content_type": ("By default that of the file's extension.", "application/pdf"),
            "content_id": ("For `cid:` links in the HTML; makes the file inline.", "logo"),
            "inline_content_id": ("Another name of `content_id`.", "logo"),
            "content_disposition": ("`inline` or `attachment`.", "attachment"),
            "size": ("Bytes.", 48_213),
            "download_url": ("A link to the content.", "https://mail.example.com/blobs/eyJ..."),
            "expires_at": ("Until when the link works.", samples.TOMORROW),
        },
    ),
    (
        "Tag",
        {
            "name": ("ASCII letters, digits, `_` or `-`.", "category"),
            "value": ("ASCII letters, digits, `_` or `-`.", "shipping"),
        },
    ),
    (
        "Reschedule",
        {
            "id": ("Ignored: the path names the email.", samples.EMAIL),
            "scheduled_at": ("The new time.", "tomorrow at 9am Europe/Berlin"),
        },
    ),
    (
        "Batch*",
        {
            "index": ("The position in the request, from 0.", 1),
            "message": ("Why it was refused.", "`to`: must have an address"),
            "data": ("The accepted emails, in the order of the request.", None),
            "errors": ("The refused emails; only in permissive batches.", None),
        },
    ),
    ("*Email*", {"id": ("The id of the email.", samples.EMAIL), **EMAIL}),
    (
        "RecordOut",
        {
            "record": ("What it is for.", "DKIM"),
            "name": ("The name of the record.", "abc123._domainkey.example.com"),
            "type": ("The type of the record.", "CNAME"),
            "value": ("The value of the record.", "abc123.dkim.amazonses.com"),
            "ttl": ("The time to live.", "Auto"),
            "priority": ("For MX records.", 10),
            "status": ("Whether SES found it.", "verified"),
        },
    ),
    (
        "Capabilities*",
        {
            "sending": ("Whether email may be sent from the domain.", "enabled"),
            "receiving": ("Whether the domain receives email.", "disabled"),
        },
    ),
    (
        "*Domain*",
        {
            "id": ("The id of the domain.", samples.DOMAIN),
            "name": ("The domain.", "example.com"),
            "status": ("`not_started`, `pending`, `verified`, ...", "verified"),
            "reason": ("The error of the last check at SES.", "AccessDeniedException"),
            "region": ("The SES region; by default the installation's.", "eu-west-1"),
            "capabilities": (
                "What the domain is used for.",
                {"sending": "enabled", "receiving": "disabled"},
            ),
            "open_tracking": ("Whether opens are tracked.", True),
            "click_tracking": ("Whether clicks are tracked.", False),
            "provider": ("`ses` or `smtp`; null: the installation's.", "ses"),
            "records": ("The DNS records to publish.", None),
            "tls": ("Only `opportunistic` is supported.", "opportunistic"),
            "tracking_subdomain": ("Not supported.", None),
            "custom_return_path": ("Not supported.", None),
        },
    ),
    (
        "PropertyOut",
        {
            "value": ("The value.", "pro"),
            "type": ("The type of the value.", "string"),
        },
    ),
    (
        "ContactDetail",
        {
            "properties": (
                "Your own data about the contact.",
                {"plan": {"value": "pro", "type": "string"}},
            ),
        },
    ),
    (
        "*Contact*",
        {
            "id": ("The id of the contact.", samples.CONTACT),
            "contact": ("The same as `id`, for Resend's clients.", samples.CONTACT),
            "email": ("The address.", samples.TO),
            "first_name": ("The first name.", "Ada"),
            "last_name": ("The last name.", "Lovelace"),
            "unsubscribed": ("Whether the contact wants no more email.", False),
            "properties": ("Your own data about the contact.", {"plan": "pro", "seats": 5}),
        },
    ),
    (
        "BadLine*",
        {
            "line": ("The number of the line, from 1.", 17),
            "message": ("What is wrong with it.", "`adaexample.org` is not an email address"),
        },
    ),
    (
        "SuppressionImport",
        {
            "lines": ("Lines with an address, valid or not.", 3),
            "added": ("New suppressions.", 1),
            "already_suppressed": ("Addresses that were suppressed before.", 1),
            "invalid": ("Lines that could not be used.", 1),
            "unknown_reasons": ("Lines whose reason is unknown; imported as `manual`.", 1),
            "errors": ("The first 100 of those.", None),
        },
    ),
    (
        "*Suppression*",
        {
            "id": ("The id of the suppression.", samples.SUPPRESSION),
            "ids": ("Ids of suppressions.", [samples.SUPPRESSION]),
            "email": ("The address.", samples.TO),
            "emails": ("Addresses.", [samples.TO, "grace@example.org"]),
            "origin": ("Why nothing is sent to it.", "bounce"),
            "ses_list": ("Whether it is being removed from SES's own list too.", "removing"),
            "reason": ("Another name of `origin`.", "bounce"),
            "source_id": ("The email that caused it.", samples.EMAIL),
            "event_id": ("The event that reported the cause.", samples.FACT),
        },
    ),
    (
        "*",
        {
            "id": ("Its id.", samples.EMAIL),
            "deleted": ("Always true.", True),
            **_PAGE,
            "object": ("The kind of object.", None),
            "created_at": ("When it was created.", samples.CREATED),
            "recipient": ("Whom it is about; null: the whole email.", samples.TO),
            "occurred_at": ("When it happened.", samples.LATER),
            "received_at": ("When OpenSend recorded it.", samples.LATER),
            "error": ("Why it failed; null for a success.", "http_503"),
            "message": ("The same in words.", "The endpoint responded with 503."),
            "response": ("The start of the response body.", "ok"),
        },
    ),
]
