"""The SNS API behind the shared port."""

from collections.abc import Callable
from typing import Any

from aiohttp import web

from twin.aws import AwsError, Call
from twin.core import Twin
from twin.sns import subscriptions, topics
from twin.sns.query import read_form, xml_answer, xml_error

_NAMESPACE = "http://sns.amazonaws.com/doc/2010-03-31/"
_OPERATIONS: dict[str, Callable[[Twin, Call], dict[str, Any] | None]] = {
    "CreateTopic": topics.create_topic,
    "DeleteTopic": topics.delete_topic,
    "ListTopics": topics.list_topics,
    "GetTopicAttributes": topics.get_topic_attributes,
    "SetTopicAttributes": topics.set_topic_attributes,
    "Publish": topics.publish,
    "Subscribe": subscriptions.subscribe,
    "ConfirmSubscription": subscriptions.confirm_subscription,
    "Unsubscribe": subscriptions.unsubscribe,
    "ListSubscriptions": subscriptions.list_subscriptions,
    "ListSubscriptionsByTopic": subscriptions.list_subscriptions_by_topic,
    "GetSubscriptionAttributes": subscriptions.get_subscription_attributes,
    "SetSubscriptionAttributes": subscriptions.set_subscription_attributes,
}


class SnsService:
    def __init__(self, twin: Twin) -> None:
        self._twin = twin

    def read(self, request: web.Request, body: bytes) -> tuple[str, dict[str, Any]]:
        form = read_form(body.decode()) if request.method == "POST" else dict(request.query)
        operation = form.pop("Action", "")
        if operation not in _OPERATIONS:
            raise AwsError(
                "InvalidAction", f"The action {operation} is not valid for this web service."
            )
        return operation, form

    async def run(self, call: Call) -> web.Response:
        result = _OPERATIONS[call.operation](self._twin, call)
        return xml_answer(call.operation, result, namespace=_NAMESPACE)

    def refuse(self, error: AwsError) -> web.Response:
        return xml_error(error, namespace=_NAMESPACE)
