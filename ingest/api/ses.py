"""`POST /events/ses`: verifies and stores SES events from SNS before it responds."""

import logging
from datetime import timedelta
from functools import cache

from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings
from django.db import Error as DatabaseError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone

from core import aws, metrics, redis
from core.api.dialects import Problem
from core.api.error_handlers import refuse
from core.api.http import answering
from core.server.waits import Waits
from ingest.models import ProviderEvent
from ingest.services import store, store_control_message
from ingest.sns import (
    NOTIFICATION,
    SUBSCRIPTION_CONFIRMATION,
    CertificateStore,
    Rejected,
    SnsMessage,
    SnsPolicy,
    verify_message,
)
from ingest.sns.messages import MAX_BODY_BYTES

logger = logging.getLogger(__name__)


class _RedisCache:
    """Shares certificates between processes; without Redis each process fetches its own."""

    def get(self, key: str) -> bytes | None:
        value = redis.attempt("certificates", lambda client: client.get(f"opensend:{key}"))
        return value if isinstance(value, bytes) else None

    def set(self, key: str, value: bytes, ttl: timedelta) -> None:
        redis.attempt("certificates", lambda client: client.set(f"opensend:{key}", value, ex=ttl))


# Anyone can make us fetch a certificate, or wait for a fetch.
_WAITS = Waits(
    lambda: Rejected(503, "unavailable", "Too many callbacks are waiting for AWS. Retry later."),
    in_all=8,
)
CERTIFICATES = CertificateStore(_RedisCache(), waiting=_WAITS.wait)


@answering("POST")
def ses_events(request: HttpRequest) -> HttpResponse:
    """Run the checks in order (see docs/ingest.md), INSERT one row, respond 200 `OK`.

    SNS authenticates with a signature, not with an API key.
    """
    try:
        raw = request.read(MAX_BODY_BYTES + 1)
        message = verify_message(
            raw,
            request.META.get("HTTP_X_AMZ_SNS_MESSAGE_TYPE"),
            policy=policy(),
            certificates=CERTIFICATES,
            now=timezone.now(),
        )
        result = _handle(message, raw)
    except Rejected as rejection:
        return _reject(request, rejection)
    except DatabaseError:
        logger.exception("Could not store a verified callback")
        failure = Rejected(503, "storage_failure", "The message could not be stored. Retry later.")
        return _reject(request, failure)
    metrics.CALLBACKS.labels("ses", result).inc()
    return HttpResponse("OK", content_type="text/plain")


@cache
def policy() -> SnsPolicy:
    """Cached, because settings are constant in a process. Tests that change them clear it."""
    local = settings.LOCAL_MODE and settings.AWS_ENDPOINT_URL
    return SnsPolicy(
        topic_arns=frozenset(settings.SES_EVENTS_SNS_TOPIC_ARN),
        require_v2=settings.SNS_REQUIRE_SIGNATURE_V2,
        max_age=settings.SNS_MAX_AGE,
        cert_origin=_loopback(settings.AWS_ENDPOINT_URL) if local else None,
    )


def _loopback(url: str) -> str | None:
    """The origin of the AWS twin if it is loopback, else None: no other may serve certificates."""
    origin = url.rstrip("/")
    try:
        SnsPolicy(frozenset(), require_v2=False, max_age=timedelta(0), cert_origin=origin)
    except ValueError:
        return None
    return origin


def _handle(message: SnsMessage, raw: bytes) -> str:
    """Store or confirm a verified message; returns the label for the metric."""
    if message.type == NOTIFICATION:
        return "kept" if store(message, raw) else "duplicate"
    if message.type == SUBSCRIPTION_CONFIRMATION:
        _confirm(message)
        store_control_message(message, raw, ProviderEvent.Kind.SUBSCRIPTION_CONFIRMED)
        return "confirmed"
    # Its SubscribeURL would resubscribe the endpoint: only an operator may decide that.
    logger.warning("SNS subscription was deleted", extra={"topic": message.topic_arn})
    store_control_message(message, raw, ProviderEvent.Kind.UNSUBSCRIBED)
    return "unsubscribed"


def _confirm(message: SnsMessage) -> None:
    """Confirm through the SNS API: the SubscribeURL is never fetched."""
    region = message.topic_arn.split(":")[3]
    try:
        with _WAITS.wait():
            aws.sns(region).confirm_subscription(
                TopicArn=message.topic_arn,
                Token=message.token or "",
                AuthenticateOnUnsubscribe="true",
            )
    except (BotoCoreError, ClientError) as error:
        logger.warning("Could not confirm the SNS subscription: %s", error)
        raise Rejected(
            503, "confirmation_failed", "SNS could not confirm the subscription."
        ) from error


def _reject(request: HttpRequest, rejection: Rejected) -> JsonResponse:
    metrics.CALLBACKS.labels("ses", str(rejection.status)).inc()
    if rejection.status in (401, 403):
        logger.warning("Callback rejected: %s", rejection.message)
    return refuse(request, Problem(rejection.status, rejection.name, rejection.message))
