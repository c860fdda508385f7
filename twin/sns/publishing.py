"""Publishing to a topic: one signature for all its subscriptions."""

import time
from typing import Any
from uuid import uuid4

from twin.signing import Signer
from twin.sns.delivery import Courier
from twin.sns.delivery_policy import effective_policy
from twin.sns.messages import Post, build_confirmation, build_notification, envelope_post, raw_post
from twin.state import Store, Subscription


class Publisher:
    def __init__(self, *, store: Store, signer: Signer, courier: Courier) -> None:
        self._store = store
        self._signer = signer
        self._courier = courier

    def publish(
        self,
        topic_arn: str,
        message: str,
        *,
        subject: str | None = None,
        attributes: dict[str, dict[str, str]] | None = None,
        copies: int = 1,
    ) -> str:
        """Send to all confirmed subscriptions and return the MessageId.

        SNS delivers at least once: with `copies` 2 it delivers the same message twice.
        """
        subscribers = [
            each for each in self._store.subscriptions_of(topic_arn) if each.status == "confirmed"
        ]
        if not subscribers:
            return str(uuid4())  # signing is the dear part
        fields = build_notification(
            topic_arn=topic_arn,
            message=message,
            subject=subject,
            attributes=attributes or {},
            version=self._version(topic_arn),
            now=time.time(),
            signer=self._signer,
        )
        for subscription in subscribers:
            post = self._notification_post(fields, subscription)
            for _ in range(copies):
                self._courier.carry(post, subscription=subscription)
        return str(fields["MessageId"])

    def ask_to_confirm(self, subscription: Subscription) -> None:
        self._send_confirmation(subscription, kind="SubscriptionConfirmation")

    def say_goodbye(self, subscription: Subscription) -> None:
        self._send_confirmation(subscription, kind="UnsubscribeConfirmation")

    def _send_confirmation(self, subscription: Subscription, *, kind: str) -> None:
        fields = build_confirmation(
            subscription,
            kind=kind,
            version=self._version(subscription.topic_arn),
            now=time.time(),
            signer=self._signer,
        )
        # Confirmations come in an envelope of the usual type even with raw delivery switched on.
        post = envelope_post(
            fields, subscription=subscription, content_type=self._content_type(subscription)
        )
        self._courier.carry(post, subscription=subscription)

    def _notification_post(self, fields: dict[str, Any], subscription: Subscription) -> Post:
        raw = subscription.attributes.get("RawMessageDelivery") == "true"
        build = raw_post if raw else envelope_post
        content_type = self._content_type(subscription)
        return build(fields, subscription=subscription, content_type=content_type)

    def _version(self, topic_arn: str) -> str:
        topic = self._store.topics.get(topic_arn)
        return topic.attributes.get("SignatureVersion", "1") if topic else "1"

    def _content_type(self, subscription: Subscription) -> str:
        topic = self._store.topics.get(subscription.topic_arn)
        return effective_policy(subscription, topic).content_type
