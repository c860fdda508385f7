"""Topics and publishing to them (Amazon SNS API reference)."""

import re
from typing import Any

import orjson

from twin.aws import ACCOUNT_ID, AwsError, Call, arn, page
from twin.core import Twin
from twin.sns.delivery_policy import (
    DEFAULT_RETRY_POLICY,
    InvalidPolicyError,
    check_topic_policy,
)
from twin.sns.query import entries
from twin.state import Topic

_NAME = re.compile(r"[A-Za-z0-9_-]{1,256}")
_SUBJECT = re.compile(r"[\x20-\x7e]{1,100}")
_MAX_MESSAGE_BYTES = 262_144
_PAGE_SIZE = 100
_ATTRIBUTES = {
    *("DeliveryPolicy", "DisplayName", "KmsMasterKeyId", "Policy", "SignatureVersion"),
    "TracingConfig",
}


def create_topic(twin: Twin, call: Call) -> dict[str, Any]:
    name = call.params.get("Name", "")
    if not _NAME.fullmatch(name):
        raise invalid("Topic Name")
    attributes = entries(call.params, "Attributes.entry", key="key", value="value")
    for attribute, value in attributes.items():
        _check_attribute(attribute, value)
    topic = Topic(arn=arn("sns", call.region, name), attributes=attributes)
    existing = twin.store.topics.setdefault(topic.arn, topic)
    if any(existing.attributes.get(key) != value for key, value in attributes.items()):
        raise invalid("Attributes Reason: Topic already exists with different attributes")
    twin.store.changed()
    return {"TopicArn": topic.arn}


def delete_topic(twin: Twin, call: Call) -> None:
    """Deletes its subscriptions too; a topic that isn't there is no error."""
    topic_arn = call.params.get("TopicArn", "")
    twin.store.topics.pop(topic_arn, None)
    for subscription in list(twin.store.subscriptions.values()):
        if subscription.topic_arn == topic_arn:
            del twin.store.subscriptions[subscription.arn]
    twin.store.changed()


def list_topics(twin: Twin, call: Call) -> dict[str, Any]:
    mine = [each for each in twin.store.topics if each.split(":")[3] == call.region]
    topics, token = read_page(mine, call)
    return {"Topics": [{"TopicArn": each} for each in topics], "NextToken": token}


def get_topic_attributes(twin: Twin, call: Call) -> dict[str, Any]:
    topic = find_topic(twin, call)
    subscriptions = twin.store.subscriptions_of(topic.arn)
    confirmed = sum(each.status == "confirmed" for each in subscriptions)
    own = orjson.loads(topic.attributes.get("DeliveryPolicy", "{}")).get("http", {})
    effective = {
        "defaultHealthyRetryPolicy": DEFAULT_RETRY_POLICY,
        "disableSubscriptionOverrides": False,
    } | own
    return {
        "Attributes": {
            "TopicArn": topic.arn,
            "Owner": ACCOUNT_ID,
            "DisplayName": "",
            "Policy": _owner_policy(topic.arn),
            "SubscriptionsConfirmed": str(confirmed),
            "SubscriptionsPending": str(len(subscriptions) - confirmed),
            "SubscriptionsDeleted": "0",
            "EffectiveDeliveryPolicy": orjson.dumps({"http": effective}).decode(),
            **topic.attributes,
        }
    }


def set_topic_attributes(twin: Twin, call: Call) -> None:
    topic = find_topic(twin, call)
    name, value = call.params.get("AttributeName", ""), call.params.get("AttributeValue", "")
    _check_attribute(name, value)
    topic.attributes[name] = value
    twin.store.changed()


def publish(twin: Twin, call: Call) -> dict[str, Any]:
    topic = find_topic(twin, call)
    message, subject = call.params.get("Message", ""), call.params.get("Subject")
    if not message:
        raise invalid("Empty message")
    if call.params.get("MessageStructure"):
        raise invalid("MessageStructure Reason: the twin publishes plain messages only")
    if len(message.encode()) > _MAX_MESSAGE_BYTES:
        raise invalid("Message too long")
    if subject is not None and not _SUBJECT.fullmatch(subject):
        raise invalid("Subject")
    message_id = twin.publisher.publish(
        topic.arn, message, subject=subject, attributes=_message_attributes(call)
    )
    return {"MessageId": message_id}


def find_topic(twin: Twin, call: Call) -> Topic:
    """The topic that `TopicArn` or `TargetArn` names, in the caller's region."""
    topic_arn = call.params.get("TopicArn") or call.params.get("TargetArn") or ""
    if not topic_arn.startswith("arn:aws:sns:"):
        raise invalid("TopicArn")
    topic = twin.store.topics.get(topic_arn)
    if topic is None or topic_arn.split(":")[3] != call.region:
        raise AwsError("NotFound", "Topic does not exist", status=404)
    return topic


def read_page(items: list[str], call: Call) -> tuple[list[str], str | None]:
    try:
        return page(items, token=call.params.get("NextToken"), size=_PAGE_SIZE)
    except ValueError:
        raise invalid("NextToken") from None


def invalid(what: str) -> AwsError:
    return AwsError("InvalidParameter", f"Invalid parameter: {what}")


def _check_attribute(name: str, value: str) -> None:
    if name not in _ATTRIBUTES:
        raise invalid("AttributeName")
    if name == "SignatureVersion" and value not in ("1", "2"):
        raise invalid("SignatureVersion Reason: must be 1 or 2")
    if name == "DeliveryPolicy":
        try:
            check_topic_policy(value)
        except InvalidPolicyError as error:
            raise invalid(str(error)) from None
    if name == "Policy":
        _check_json(value)


def _check_json(value: str) -> None:
    try:
        orjson.loads(value)
    except orjson.JSONDecodeError:
        raise invalid("Policy Error: null") from None


def _message_attributes(call: Call) -> dict[str, dict[str, str]]:
    types = entries(call.params, "MessageAttributes.entry", key="Name", value="Value.DataType")
    texts = entries(call.params, "MessageAttributes.entry", key="Name", value="Value.StringValue")
    return {name: {"Type": kind, "Value": texts[name]} for name, kind in types.items()}


def _owner_policy(topic_arn: str) -> str:
    """What a topic has before anybody sets a policy: everything for its owner."""
    statement = {
        "Sid": "__default_statement_ID",
        "Effect": "Allow",
        "Principal": {"AWS": "*"},
        "Action": [
            *("SNS:GetTopicAttributes", "SNS:SetTopicAttributes", "SNS:AddPermission"),
            *("SNS:RemovePermission", "SNS:DeleteTopic", "SNS:Subscribe"),
            *("SNS:ListSubscriptionsByTopic", "SNS:Publish"),
        ],
        "Resource": topic_arn,
        "Condition": {"StringEquals": {"AWS:SourceOwner": ACCOUNT_ID}},
    }
    policy = {"Version": "2008-10-17", "Id": "__default_policy_ID", "Statement": [statement]}
    return orjson.dumps(policy).decode()
