"""Subscriptions and the handshake that confirms them (Amazon SNS API reference)."""

import re
import secrets
import time
from typing import Any
from uuid import uuid4

import orjson
from yarl import URL

from twin.aws import ACCOUNT_ID, AwsError, Call, arn
from twin.core import Twin
from twin.sns.delivery_policy import (
    InvalidPolicyError,
    check_subscription_policy,
    effective_policy,
)
from twin.sns.query import entries
from twin.sns.topics import find_topic, invalid, read_page
from twin.state import Subscription

# AWS SNS guide, "Confirm the subscription": a token holds for three days.
_TOKEN_SECONDS = 3 * 86_400
_PRINTABLE = re.compile(r"[\x21-\x7e]+")


def subscribe(twin: Twin, call: Call) -> dict[str, Any]:
    """Asking again for a pending subscription sends the confirmation again."""
    topic = find_topic(twin, call)
    protocol, endpoint = call.params.get("Protocol", ""), call.params.get("Endpoint", "")
    attributes = entries(call.params, "Attributes.entry", key="key", value="value")
    _check_endpoint(protocol, endpoint)
    for name, value in attributes.items():
        _check_attribute(name, value)
    subscription = _find_same(twin, topic.arn, protocol, endpoint)
    if subscription is None:
        _forget_deleted(twin, topic.arn, endpoint)
        subscription = Subscription(
            arn=f"{topic.arn}:{uuid4()}",
            topic_arn=topic.arn,
            protocol=protocol,
            endpoint=endpoint,
            token=_new_token(),
            token_created_at=time.time(),
            attributes=attributes,
        )
        twin.store.subscriptions[subscription.arn] = subscription
    elif any(subscription.attributes.get(key) != value for key, value in attributes.items()):
        raise invalid("Attributes Reason: Subscription already exists with different attributes")
    if subscription.status == "pending":
        _renew_token(subscription)
        twin.publisher.ask_to_confirm(subscription)
    twin.store.changed()
    shown = call.params.get("ReturnSubscriptionArn") == "true"
    pending = subscription.status == "pending" and not shown
    return {"SubscriptionArn": "pending confirmation" if pending else subscription.arn}


def confirm_subscription(twin: Twin, call: Call) -> dict[str, Any]:
    topic = find_topic(twin, call)
    token = call.params.get("Token", "")
    for subscription in twin.store.subscriptions.values():
        if subscription.topic_arn == topic.arn and secrets.compare_digest(
            subscription.token.encode(), token.encode()
        ):
            break
    else:
        raise invalid("Token")
    if subscription.token_created_at < time.time() - _TOKEN_SECONDS:
        raise invalid("Token")
    if subscription.status != "confirmed":
        subscription.status = "confirmed"
        authenticated = call.params.get("AuthenticateOnUnsubscribe") == "true"
        subscription.authenticate_on_unsubscribe = authenticated
        subscription.confirmation_was_authenticated = call.signed
        twin.store.changed()
    return {"SubscriptionArn": subscription.arn}


def unsubscribe(twin: Twin, call: Call) -> None:
    """The token that goes out with the farewell confirms the subscription again."""
    subscription = twin.store.subscriptions.get(call.params.get("SubscriptionArn", ""))
    if subscription is None or subscription.status == "deleted":
        return
    if subscription.authenticate_on_unsubscribe and not call.signed:
        raise AwsError("AuthorizationError", "Unsubscribe needs authentication", status=403)
    was_confirmed = subscription.status == "confirmed"
    subscription.status = "deleted"
    if was_confirmed:
        subscription.token = _new_token()
        subscription.token_created_at = time.time()
        twin.publisher.say_goodbye(subscription)
    else:
        del twin.store.subscriptions[subscription.arn]
    twin.store.changed()


def list_subscriptions(twin: Twin, call: Call) -> dict[str, Any]:
    start = arn("sns", call.region, "")
    mine = [
        each.arn
        for each in twin.store.subscriptions.values()
        if each.arn.startswith(start) and each.status != "deleted"
    ]
    return _listed(twin, call, mine)


def list_subscriptions_by_topic(twin: Twin, call: Call) -> dict[str, Any]:
    topic = find_topic(twin, call)
    return _listed(twin, call, [each.arn for each in twin.store.subscriptions_of(topic.arn)])


def get_subscription_attributes(twin: Twin, call: Call) -> dict[str, Any]:
    subscription = _find(twin, call)
    policy = effective_policy(subscription, twin.store.topics.get(subscription.topic_arn))
    return {
        "Attributes": {
            "SubscriptionArn": subscription.arn,
            "TopicArn": subscription.topic_arn,
            "Owner": ACCOUNT_ID,
            "Protocol": subscription.protocol,
            "Endpoint": subscription.endpoint,
            "PendingConfirmation": _flag(subscription.status == "pending"),
            "ConfirmationWasAuthenticated": _flag(subscription.confirmation_was_authenticated),
            "SubscriptionPrincipal": f"arn:aws:iam::{ACCOUNT_ID}:root",
            "RawMessageDelivery": "false",
            "EffectiveDeliveryPolicy": policy.as_json(),
            **subscription.attributes,
        }
    }


def set_subscription_attributes(twin: Twin, call: Call) -> None:
    """An empty value takes the attribute away."""
    subscription = _find(twin, call)
    name, value = call.params.get("AttributeName", ""), call.params.get("AttributeValue", "")
    if value:
        _check_attribute(name, value)
        subscription.attributes[name] = value
    else:
        subscription.attributes.pop(name, None)
    twin.store.changed()


def _find(twin: Twin, call: Call) -> Subscription:
    subscription = twin.store.subscriptions.get(call.params.get("SubscriptionArn", ""))
    if subscription is None or subscription.status == "deleted":
        raise AwsError("NotFound", "Subscription does not exist", status=404)
    return subscription


def _find_same(twin: Twin, topic_arn: str, protocol: str, endpoint: str) -> Subscription | None:
    for each in twin.store.subscriptions_of(topic_arn):
        if (each.protocol, each.endpoint) == (protocol, endpoint):
            return each
    return None


def _forget_deleted(twin: Twin, topic_arn: str, endpoint: str) -> None:
    """A new subscription takes the place of an old one, whose token must not revive it then."""
    for each in list(twin.store.subscriptions.values()):
        if (each.topic_arn, each.endpoint, each.status) == (topic_arn, endpoint, "deleted"):
            del twin.store.subscriptions[each.arn]


def _listed(twin: Twin, call: Call, arns: list[str]) -> dict[str, Any]:
    arns, token = read_page(arns, call)
    found = (twin.store.subscriptions[each] for each in arns)
    rows = [
        {
            "SubscriptionArn": "PendingConfirmation" if each.status == "pending" else each.arn,
            "Owner": ACCOUNT_ID,
            "Protocol": each.protocol,
            "Endpoint": each.endpoint,
            "TopicArn": each.topic_arn,
        }
        for each in found
    ]
    return {"Subscriptions": rows, "NextToken": token}


def _check_endpoint(protocol: str, endpoint: str) -> None:
    if protocol not in ("http", "https"):
        raise invalid(f"Protocol Reason: the twin delivers to http and https, not {protocol!r}")
    try:
        url = URL(endpoint, encoded=True)
        valid = url.scheme == protocol and bool(url.host)
    except ValueError:
        valid = False
    if not valid or not _PRINTABLE.fullmatch(endpoint):
        raise invalid("Endpoint must match the specified protocol")


def _check_attribute(name: str, value: str) -> None:
    if name == "DeliveryPolicy":
        try:
            check_subscription_policy(value)
        except InvalidPolicyError as error:
            raise invalid(str(error)) from None
    elif name == "RawMessageDelivery":
        if value not in ("true", "false"):
            raise invalid("Attributes Reason: RawMessageDelivery: must be true or false")
    elif name == "RedrivePolicy":
        _check_redrive_policy(value)
    else:
        raise invalid("AttributeName")


def _check_redrive_policy(value: str) -> None:
    try:
        target = str(orjson.loads(value)["deadLetterTargetArn"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        target = ""
    if not target.startswith("arn:aws:sqs:"):
        raise invalid("RedrivePolicy: deadLetterTargetArn is an invalid arn")


def _renew_token(subscription: Subscription) -> None:
    """An expired token is replaced; one that still holds stays the same on every request."""
    if subscription.token_created_at < time.time() - _TOKEN_SECONDS:
        subscription.token = _new_token()
        subscription.token_created_at = time.time()


def _new_token() -> str:
    return secrets.token_hex(104)


def _flag(value: bool) -> str:
    return "true" if value else "false"
