"""Fields that several schemas have: name -> description and example."""

from typing import Any

from opensend.api_reference import samples

Fields = dict[str, tuple[str, Any]]

WEBHOOK: Fields = {
    "endpoint": (
        "The URL that events are sent to.",
        "https://shop.example.com/hooks/opensend",
    ),
    "url": ("Another name of `endpoint`.", "https://shop.example.com/hooks/opensend"),
    "events": ("Event types, or groups such as `email.*` and `*`.", ["email.delivered"]),
    "event_types": ("Another name of `events`.", ["email.delivered"]),
    "description": ("For people; not sent anywhere.", "Shop, production"),
    "headers": (
        "Headers of every request. Values are stored encrypted and never shown.",
        {"X-Tenant": "shop"},
    ),
    "header_names": ("The names of the custom headers.", ["X-Tenant"]),
    "domain_ids": ("Only events about these domains; empty: all.", [samples.DOMAIN]),
    "pod_ids": ("Only events about these pods; empty: all.", [samples.POD]),
    "inbox_ids": ("Only events about these inboxes; empty: all.", [samples.INBOX]),
    "rate_limit": ("Requests per second; null: no limit.", 20),
    "ed25519": ("Whether requests have v1a signatures too.", False),
    "public_key": ("Verifies v1a signatures; null without them.", samples.PUBLIC_KEY),
    "signing_secret": ("Verifies v1 signatures. Shown only here.", samples.SECRET),
    "status": ("`enabled` or `disabled`.", "enabled"),
    "disabled_reason": (
        "Why OpenSend disabled it; null when a person did.",
        "The endpoint answered 410 Gone",
    ),
    "disabled_at": ("When it was disabled.", samples.CREATED),
    "failing_since": ("The first failure after the last success.", samples.CREATED),
    "recover_since": ("Since when it missed events; null if it missed none.", samples.CREATED),
    "webhook_id": ("Ignored: the path names the webhook.", samples.WEBHOOK),
}
EMAIL: Fields = {
    "from": ("The sender: an address of a verified domain.", samples.FROM),
    "to": ("Recipients, each an address or `Name <address>`.", [samples.TO]),
    "cc": ("Recipients of a copy.", ["grace@example.org"]),
    "bcc": ("Recipients that the others do not see.", ["archive@example.com"]),
    "reply_to": ("Where replies go.", ["help@example.com"]),
    "subject": ("A single line.", "Your order 4711 is on its way"),
    "html": ("The HTML part.", "<p>Your order has left our warehouse.</p>"),
    "text": (
        "The plain text part; by default it is made from the HTML.",
        "Your order has left our warehouse.",
    ),
    "headers": ("Additional headers of the message.", {"X-Order": "4711"}),
    "tags": (
        "Names and values that come back in events.",
        [{"name": "category", "value": "shipping"}],
    ),
    "attachments": ("Files. The whole message may have 40 MiB.", None),
    "scheduled_at": ("When it is sent; null: at once.", samples.TOMORROW),
    "content_purged_at": ("When its content was purged; null: not yet.", samples.LATER),
    "message_id": ("The Message-ID of the message as it is sent.", samples.MESSAGE_ID),
    "status": ("The most advanced status of its recipients.", "delivered"),
    "last_event": ("The same as `status`, for Resend's clients.", "delivered"),
    "last_error": ("Why it was not sent, or not yet.", "throttled"),
    "provider": ("The provider that sends it.", "ses"),
    "provider_message_id": ("The provider's id of the message.", samples.PROVIDER_ID),
    "provider_response": ("What the provider answered.", "250 2.0.0 OK"),
    "open_tracking": ("Whether opens are tracked.", True),
    "click_tracking": ("Whether clicks are tracked.", True),
    "opens": ("All opens, machines included.", 3),
    "human_opens": ("Opens by people.", 1),
    "clicks": ("All clicks, machines included.", 2),
    "human_clicks": ("Clicks by people.", 1),
    "recipients": ("Each recipient with its own status.", None),
    "template": ("Not supported.", None),
    "topic_id": ("Not supported.", None),
}
DELIVERY: Fields = {
    "status": ("`pending`, `attempting`, `success` or `failed`.", "pending"),
    "attempts": ("Requests so far.", 2),
    "last_status_code": ("The status of the last response; null without one.", 503),
    "last_error": ("Why the last attempt failed; null for a success.", "http_503"),
    "next_attempt_at": ("When it is tried again; null when it is finished.", samples.TOMORROW),
    "payload": (
        "The body of every request.",
        {"id": samples.EVENT, "type": "email.delivered", "created_at": samples.CREATED},
    ),
}
