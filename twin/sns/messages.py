"""The three messages that SNS posts to an endpoint, signed (AWS SNS guide, "Parsing messages")."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import orjson

from twin.aws import iso_time, region_of
from twin.signing import Signer
from twin.state import Subscription


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """A body as it goes to one endpoint, with its headers; the same ones on every retry."""

    type: str
    body: bytes
    headers: dict[str, str]


def build_notification(
    *,
    topic_arn: str,
    message: str,
    subject: str | None,
    attributes: dict[str, dict[str, str]],
    version: str,
    now: float,
    signer: Signer,
) -> dict[str, Any]:
    """The envelope without UnsubscribeURL, which differs from subscription to subscription."""
    fields: dict[str, Any] = {
        "Type": "Notification",
        "MessageId": str(uuid4()),
        "TopicArn": topic_arn,
        **({"Subject": subject} if subject is not None else {}),
        "Message": message,
        "Timestamp": iso_time(now),
    }
    fields |= _signature(fields, version=version, signer=signer)
    if attributes:
        fields["MessageAttributes"] = attributes
    return fields


def build_confirmation(
    subscription: Subscription, *, kind: str, version: str, now: float, signer: Signer
) -> dict[str, Any]:
    """`kind` is SubscriptionConfirmation or UnsubscribeConfirmation."""
    region = region_of(subscription.topic_arn)
    query = urlencode(
        {
            "Action": "ConfirmSubscription",
            "TopicArn": subscription.topic_arn,
            "Token": subscription.token,
        },
        safe=":",
    )
    fields: dict[str, Any] = {
        "Type": kind,
        "MessageId": str(uuid4()),
        "Token": subscription.token,
        "TopicArn": subscription.topic_arn,
        "Message": _CONFIRMATION_TEXTS[kind].format(
            topic=subscription.topic_arn, subscription=subscription.arn
        ),
        "SubscribeURL": f"https://sns.{region}.amazonaws.com/?{query}",
        "Timestamp": iso_time(now),
    }
    return fields | _signature(fields, version=version, signer=signer)


def envelope_post(fields: dict[str, Any], *, subscription: Subscription, content_type: str) -> Post:
    if fields["Type"] == "Notification":
        fields = fields | {"UnsubscribeURL": _unsubscribe_url(subscription)}
    # SNS lays its JSON out like this; a parser that expects compact JSON should fail here first.
    lines = (f'  "{name}" : {orjson.dumps(value).decode()}' for name, value in fields.items())
    body = "{\n" + ",\n".join(lines) + "\n}"
    headers = _headers(fields, subscription=subscription, content_type=content_type)
    return Post(type=fields["Type"], body=body.encode(), headers=headers)


def raw_post(fields: dict[str, Any], *, subscription: Subscription, content_type: str) -> Post:
    headers = _headers(fields, subscription=subscription, content_type=content_type)
    headers["x-amz-sns-rawdelivery"] = "true"
    return Post(type=fields["Type"], body=fields["Message"].encode(), headers=headers)


def _headers(
    fields: dict[str, Any], *, subscription: Subscription, content_type: str
) -> dict[str, str]:
    headers = {
        "x-amz-sns-message-type": fields["Type"],
        "x-amz-sns-message-id": fields["MessageId"],
        "x-amz-sns-topic-arn": fields["TopicArn"],
        "Content-Type": content_type,
        "User-Agent": "Amazon Simple Notification Service Agent",
    }
    if fields["Type"] != "SubscriptionConfirmation":
        headers["x-amz-sns-subscription-arn"] = subscription.arn
    return headers


def _signature(fields: dict[str, Any], *, version: str, signer: Signer) -> dict[str, str]:
    return {
        "SignatureVersion": version,
        "Signature": signer.sign(fields, version=version),
        "SigningCertURL": signer.certificate_url(region_of(fields["TopicArn"])),
    }


def _unsubscribe_url(subscription: Subscription) -> str:
    region = region_of(subscription.topic_arn)
    return (
        f"https://sns.{region}.amazonaws.com/?Action=Unsubscribe&SubscriptionArn={subscription.arn}"
    )


_CONFIRMATION_TEXTS = {
    "SubscriptionConfirmation": (
        "You have chosen to subscribe to the topic {topic}.\n"
        "To confirm the subscription, visit the SubscribeURL included in this message."
    ),
    "UnsubscribeConfirmation": (
        "You have chosen to deactivate subscription {subscription}.\n"
        "To cancel this operation and restore the subscription, visit the SubscribeURL included "
        "in this message."
    ),
}
