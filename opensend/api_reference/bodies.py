"""A request body for each operation that takes one: "Try it out" begins with it."""

from typing import Any

from opensend.api_reference import samples

_MAIL: dict[str, Any] = {
    "from": samples.FROM,
    "to": [samples.TO],
    "subject": "Your order 4711 is on its way",
    "html": "<p>Hello Ada,</p><p>your order has left our warehouse.</p>",
}
_JSON: dict[str, Any] = {
    "create_api_key": {
        "name": "Shop, production",
        "permission": "sending_access",
    },
    "change_api_key": {"name": "Shop, staging"},
    "create_contact": {
        "email": samples.TO,
        "first_name": "Ada",
        "last_name": "Lovelace",
        "properties": {"plan": "pro", "seats": 5},
    },
    "change_contact": {"last_name": "King", "properties": {"plan": None}},
    "add_domain": {"name": "example.com", "region": "eu-west-1", "open_tracking": True},
    "change_domain": {"open_tracking": True, "click_tracking": False},
    "send_email": {
        **_MAIL,
        "text": "Hello Ada,\n\nyour order has left our warehouse.",
        "reply_to": "help@example.com",
        "tags": [{"name": "category", "value": "shipping"}],
    },
    "reschedule_email": {"scheduled_at": "tomorrow at 9am Europe/Berlin"},
    "send_up_to_100_emails": [_MAIL, {**_MAIL, "to": ["grace@example.org"]}],
    "suppress_address": {"email": samples.TO, "origin": "manual"},
    "suppress_addresses": {"emails": [samples.TO, "grace@example.org"], "origin": "complaint"},
    "remove_suppressions": {"emails": [samples.TO, "grace@example.org"]},
    "create_webhook": {
        "endpoint": "https://shop.example.com/hooks/opensend",
        "events": ["email.delivered", "email.bounced", "email.complained"],
        "description": "Shop, production",
    },
    "change_webhook": {"events": ["email.*"], "status": "enabled"},
    "recover_events_of_webhook": {"since": "2026-05-10T08:00:00Z", "only": "failed"},
    "test_webhook": {"type": "email.delivered"},
}
BODIES: dict[str, dict[str, Any]] = {
    **{name: {"application/json": body} for name, body in _JSON.items()},
    "import_suppressions": {
        "text/csv": "email,origin\nada@example.org,bounce\ngrace@example.org,unsubscribed\n",
    },
    "receive_ses_events": {
        "text/plain": '{"Type": "Notification",'
        ' "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",'
        ' "TopicArn": "arn:aws:sns:us-east-1:123456789012:opensend-events", "Message": "{...}",'
        ' "Timestamp": "2026-05-10T09:12:46.310Z", "SignatureVersion": "1", "Signature": "...",'
        ' "SigningCertURL": "https://sns.us-east-1.amazonaws.com/SimpleNotificationService.pem"}',
    },
}
