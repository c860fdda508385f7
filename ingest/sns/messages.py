"""Parses the JSON envelope that SNS posts, down to the fields that are signed or verified."""

import re
from dataclasses import dataclass
from typing import Any

import orjson

from core.db import json_values
from ingest.sns.policy import Rejected

NOTIFICATION = "Notification"
SUBSCRIPTION_CONFIRMATION = "SubscriptionConfirmation"
UNSUBSCRIBE_CONFIRMATION = "UnsubscribeConfirmation"

# An SNS message has at most 256 KiB; JSON escaping in the envelope can about double that.
MAX_BODY_BYTES = 512 * 1024

_COMMON = (
    "MessageId",
    "TopicArn",
    "Message",
    "Timestamp",
    "SignatureVersion",
    "Signature",
    "SigningCertURL",
)
_CONFIRMATION = (*_COMMON, "Token", "SubscribeURL")
_REQUIRED = {
    NOTIFICATION: _COMMON,
    SUBSCRIPTION_CONFIRMATION: _CONFIRMATION,
    UNSUBSCRIBE_CONFIRMATION: _CONFIRMATION,
}
_UUID = re.compile(
    r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9A-F]{8}(?:-[0-9A-F]{4}){3}-[0-9A-F]{12}"
)
_CONTROL_CHARACTER = re.compile(r"[\x00-\x1f\x7f-\x9f]")

_TOPIC_VALIDATED = "Successfully validated SNS topic"
_SUBSCRIPTION_SUCCEEDED = "AmazonSnsSubscriptionSucceeded"
_RECEIPT_SETUP = "AMAZON_SES_SETUP_NOTIFICATION"


@dataclass(frozen=True, slots=True)
class SnsMessage:
    """One message; `subject`, `token` and `subscribe_url` are None when the field is absent.

    Only confirmations have a token and a subscribe_url. `message` is the payload as text,
    `timestamp` the time of publishing as `YYYY-MM-DDThh:mm:ss.sssZ`.
    """

    type: str
    message_id: str
    topic_arn: str
    message: str
    timestamp: str
    signature_version: str
    signature: str
    signing_cert_url: str
    subject: str | None
    token: str | None
    subscribe_url: str | None


def parse(body: bytes, *, header_type: str | None) -> SnsMessage:
    """Parse an HTTP body; `header_type` is `x-amz-sns-message-type`, None when absent.

    Shapes: AWS, "Parsing Amazon SNS message formats" (HTTP/HTTPS). Raises Rejected 413 or 400.
    The last value of a repeated JSON key wins, and that value is verified. So take fields from
    the result: another parser could pick another value from the body.
    """
    if len(body) > MAX_BODY_BYTES:
        limit = f"The body is larger than {MAX_BODY_BYTES} bytes."
        raise Rejected(413, "payload_too_large", limit)
    fields = _read_object(body)
    kind = _kind(fields)
    _check_fields(fields, kind)
    if header_type is not None and header_type != kind:
        raise _invalid("The x-amz-sns-message-type header does not match Type.")
    confirmation = kind != NOTIFICATION
    return SnsMessage(
        type=kind,
        message_id=fields["MessageId"],
        topic_arn=fields["TopicArn"],
        message=fields["Message"],
        timestamp=fields["Timestamp"],
        signature_version=fields["SignatureVersion"],
        signature=fields["Signature"],
        signing_cert_url=fields["SigningCertURL"],
        subject=None if confirmation else fields.get("Subject"),
        token=fields["Token"] if confirmation else None,
        subscribe_url=fields["SubscribeURL"] if confirmation else None,
    )


def is_control(message: SnsMessage) -> bool:
    """Whether AWS only confirms that a destination was set up: such a message is not an event.

    Decided by structure, because an ordinary email may quote these words in its subject.
    """
    if message.type != NOTIFICATION:
        return False
    text = message.message
    if text.startswith(_TOPIC_VALIDATED):
        return True
    if _SUBSCRIPTION_SUCCEEDED not in text and _RECEIPT_SETUP not in text:
        return False
    try:
        payload = json_values.loads(text)
    except ValueError:
        return False
    return isinstance(payload, dict) and (
        payload.get("notificationType") == _SUBSCRIPTION_SUCCEEDED
        or _member(payload, "mail", "messageId") == _RECEIPT_SETUP
        or _is_setup_object(_member(payload, "receipt", "action", "objectKey"))
    )


def _read_object(body: bytes) -> dict[str, Any]:
    try:
        fields = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise _invalid("The body is not JSON.") from error
    if not isinstance(fields, dict):
        raise _invalid("The body is not a JSON object.")
    return fields


def _kind(fields: dict[str, Any]) -> str:
    kind = fields.get("Type")
    if isinstance(kind, str) and kind in _REQUIRED:
        return kind
    if "eventType" in fields or "notificationType" in fields:
        raise Rejected(
            400,
            "raw_message_delivery",
            "The body has no SNS envelope and therefore no signature. Set RawMessageDelivery "
            "to false on this SNS subscription.",
        )
    raise _invalid("Type is missing or unknown.")


def _check_fields(fields: dict[str, Any], kind: str) -> None:
    for name in _REQUIRED[kind]:
        if name not in fields:
            raise _invalid(f"{name} is missing.")
        _check_text(name, fields[name])
    if "Subject" in fields:
        _check_text("Subject", fields["Subject"])
    # A MessageId of "<uuid>\nSubject\n<subject>" has the same signed bytes as the genuine
    # message and would pass as a new one.
    if not _UUID.fullmatch(fields["MessageId"]):
        raise _invalid("MessageId is not a UUID.")


def _check_text(name: str, value: object) -> None:
    if not isinstance(value, str):
        raise _invalid(f"{name} is not a string.")
    # isprintable is many times faster than the regular expression, and nearly always true.
    if name != "Message" and not value.isprintable() and _CONTROL_CHARACTER.search(value):
        raise _invalid(f"{name} contains a control character.")


def _invalid(message: str) -> Rejected:
    return Rejected(400, "invalid_message", message)


def _member(payload: object, *path: str) -> object:
    for name in path:
        if not isinstance(payload, dict):
            return None
        payload = payload.get(name)
    return payload


def _is_setup_object(key: object) -> bool:
    return isinstance(key, str) and key.endswith(_RECEIPT_SETUP)
