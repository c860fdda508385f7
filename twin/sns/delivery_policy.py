"""When SNS tries an HTTP endpoint again (AWS SNS guide, "Message delivery retries")."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson

from twin.state import Subscription, Topic

DEFAULT_RETRY_POLICY: dict[str, Any] = {
    "minDelayTarget": 20,
    "maxDelayTarget": 20,
    "numRetries": 3,
    "numMaxDelayRetries": 0,
    "numNoDelayRetries": 0,
    "numMinDelayRetries": 0,
    "backoffFunction": "linear",
}
# SNS caps the retries of one message at an hour, whatever the policy says.
_MAX_TOTAL_SECONDS = 3600
_CONTENT_TYPE = re.compile(r"(text|application)/[a-z0-9.+-]+(; ?charset=[A-Za-z0-9-]+)?")
_DEFAULT_CONTENT_TYPE = "text/plain; charset=UTF-8"

# Step i of n (from 0) as a share of the way from the least to the greatest delay.
_SHARES: dict[str, Callable[[int, int], float]] = {
    "linear": lambda i, n: i / n,
    "arithmetic": lambda i, n: i * (i + 1) / (n * (n + 1)),
    "exponential": lambda i, n: (math.exp2(i) - 1) / (math.exp2(n) - 1),
    "geometric": lambda i, n: (math.pow(4, i / n) - 1) / 3,
}


class InvalidPolicyError(ValueError):
    """A delivery policy that SNS would not take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryPolicy:
    retry: dict[str, Any]
    content_type: str
    max_receives_per_second: int | None

    def retry_delays(self) -> list[float]:
        """Seconds to wait before each retry: at once, least, growing, greatest."""
        retry = self.retry
        at_once, least, greatest = (
            retry["numNoDelayRetries"],
            retry["numMinDelayRetries"],
            retry["numMaxDelayRetries"],
        )
        low, high = retry["minDelayTarget"], retry["maxDelayTarget"]
        growing = retry["numRetries"] - at_once - least - greatest
        share = _SHARES[retry["backoffFunction"]]
        steps = [low + (high - low) * share(i, max(growing - 1, 1)) for i in range(growing)]
        return _capped([0.0] * at_once + [low] * least + steps + [high] * greatest)

    def as_json(self) -> str:
        throttle = (
            {"maxReceivesPerSecond": self.max_receives_per_second}
            if self.max_receives_per_second
            else None
        )
        policy = {
            "healthyRetryPolicy": self.retry,
            "sicklyRetryPolicy": None,
            "throttlePolicy": throttle,
            "requestPolicy": {"headerContentType": self.content_type},
            "guaranteed": False,
        }
        return orjson.dumps(policy).decode()


def effective_policy(subscription: Subscription, topic: Topic | None) -> DeliveryPolicy:
    """The subscription's own policy over the topic's default, over SNS's."""
    own = subscription.attributes.get("DeliveryPolicy", "")
    of_topic = topic.attributes.get("DeliveryPolicy", "") if topic else ""
    return _resolve(own, of_topic)


def check_subscription_policy(text: str) -> None:
    """Raise InvalidPolicyError for anything but a subscription's DeliveryPolicy."""
    policy = _parse(text)
    _check_keys(
        policy,
        {
            "healthyRetryPolicy",
            "sicklyRetryPolicy",
            "throttlePolicy",
            "requestPolicy",
            "guaranteed",
        },
    )
    _check_retry(policy.get("healthyRetryPolicy") or {})
    _check_throttle(policy.get("throttlePolicy") or {})
    _check_request(policy.get("requestPolicy") or {})


def check_topic_policy(text: str) -> None:
    """Raise InvalidPolicyError for anything but a topic's DeliveryPolicy (under the key `http`)."""
    policy = _parse(text)
    _check_keys(policy, {"http"})
    http = policy.get("http") or {}
    _check_keys(
        http,
        {
            *("defaultHealthyRetryPolicy", "defaultSicklyRetryPolicy", "defaultThrottlePolicy"),
            *("defaultRequestPolicy", "disableSubscriptionOverrides"),
        },
    )
    _check_retry(http.get("defaultHealthyRetryPolicy") or {})
    _check_throttle(http.get("defaultThrottlePolicy") or {})
    _check_request(http.get("defaultRequestPolicy") or {})


@lru_cache(maxsize=256)
def _resolve(own_text: str, topic_text: str) -> DeliveryPolicy:
    own = _parse(own_text) if own_text else {}
    of_topic = _parse(topic_text).get("http", {}) if topic_text else {}
    if of_topic.get("disableSubscriptionOverrides"):
        own = {}
    retry = own.get("healthyRetryPolicy") or of_topic.get("defaultHealthyRetryPolicy") or {}
    throttle = own.get("throttlePolicy") or of_topic.get("defaultThrottlePolicy") or {}
    request = own.get("requestPolicy") or of_topic.get("defaultRequestPolicy") or {}
    return DeliveryPolicy(
        retry=DEFAULT_RETRY_POLICY | retry,
        content_type=request.get("headerContentType", _DEFAULT_CONTENT_TYPE),
        max_receives_per_second=throttle.get("maxReceivesPerSecond"),
    )


def _capped(delays: list[float]) -> list[float]:
    total, kept = 0.0, []
    for delay in delays:
        total += delay
        if total > _MAX_TOTAL_SECONDS:
            break
        kept.append(delay)
    return kept


def _parse(text: str) -> dict[str, Any]:
    try:
        policy = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise InvalidPolicyError("DeliveryPolicy: failed to parse JSON") from None
    if not isinstance(policy, dict):
        raise InvalidPolicyError("DeliveryPolicy: must be a JSON object")
    return policy


def _check_keys(policy: Any, known: set[str]) -> None:
    if not isinstance(policy, dict):
        raise InvalidPolicyError("DeliveryPolicy: must be a JSON object")
    for key in policy.keys() - known:
        raise InvalidPolicyError(f"DeliveryPolicy: unexpected JSON member: {key}")


def _check_retry(retry: Any) -> None:
    _check_keys(retry, set(DEFAULT_RETRY_POLICY))
    policy = DEFAULT_RETRY_POLICY | retry
    if policy["backoffFunction"] not in _SHARES:
        raise InvalidPolicyError("DeliveryPolicy: healthyRetryPolicy.backoffFunction must be known")
    for name, value in policy.items():
        if name != "backoffFunction" and (type(value) is not int or value < 0):
            raise InvalidPolicyError(f"DeliveryPolicy: healthyRetryPolicy.{name} must be 0 or more")
    if not 1 <= policy["minDelayTarget"] <= policy["maxDelayTarget"] <= _MAX_TOTAL_SECONDS:
        raise InvalidPolicyError(
            "DeliveryPolicy: healthyRetryPolicy delays must be 1 <= min <= max <= 3600"
        )
    if policy["numRetries"] > 100:
        raise InvalidPolicyError(
            "DeliveryPolicy: healthyRetryPolicy.numRetries must be at most 100"
        )
    phases = (policy[f"num{phase}DelayRetries"] for phase in ("No", "Min", "Max"))
    if sum(phases) > policy["numRetries"]:
        raise InvalidPolicyError(
            "DeliveryPolicy: healthyRetryPolicy.numRetries is less than its phases"
        )


def _check_throttle(throttle: Any) -> None:
    _check_keys(throttle, {"maxReceivesPerSecond"})
    rate = throttle.get("maxReceivesPerSecond")
    if rate is not None and (type(rate) is not int or rate < 1):
        raise InvalidPolicyError(
            "DeliveryPolicy: throttlePolicy.maxReceivesPerSecond must be 1 or more"
        )


def _check_request(request: Any) -> None:
    _check_keys(request, {"headerContentType"})
    content_type = request.get("headerContentType", _DEFAULT_CONTENT_TYPE)
    if not isinstance(content_type, str) or not _CONTENT_TYPE.fullmatch(content_type):
        raise InvalidPolicyError("DeliveryPolicy: requestPolicy.headerContentType is invalid")
