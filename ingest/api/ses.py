"""`POST /events/ses`: durable before answered."""

import logging
from datetime import timedelta
from functools import cache

from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from core import aws, errors, metrics, redis
from ingest.models import ProviderEvent
from ingest.services import note, store
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
    """Certificates for all processes; without Redis each fetches its own."""

    def get(self, key: str) -> bytes | None:
        found = redis.attempt("certificates", lambda client: client.get(f"opensend:{key}"))
        return found if isinstance(found, bytes) else None

    def set(self, key: str, value: bytes, ttl: timedelta) -> None:
        redis.attempt("certificates", lambda client: client.set(f"opensend:{key}", value, ex=ttl))


CERTIFICATES = CertificateStore(_RedisCache())


@csrf_exempt
def ses_events(request: HttpRequest) -> HttpResponse:
    """Every check in its order (see docs/ingest.md), one INSERT, 200 `OK`."""
    if request.method != "POST":
        return errors.method_not_allowed(request, ["POST"])
    try:
        raw = request.read(MAX_BODY_BYTES + 1)
        message = verify_message(
            raw,
            request.META.get("HTTP_X_AMZ_SNS_MESSAGE_TYPE"),
            policy=policy(),
            certificates=CERTIFICATES,
            now=timezone.now(),
        )
        answer = _act(message, raw)
    except Rejected as rejection:
        return _refused(rejection)
    except DatabaseError:
        logger.exception("A verified callback could not be kept")
        return _refused(Rejected(503, "storage_failure", "It could not be stored; send it again."))
    metrics.CALLBACKS.labels("ses", answer).inc()
    return HttpResponse("OK", content_type="text/plain")


@cache
def policy() -> SnsPolicy:
    """Settings don't change while a process runs. Tests that change them clear this cache."""
    local = settings.LOCAL_MODE and settings.AWS_ENDPOINT_URL
    return SnsPolicy(
        topic_arns=frozenset(settings.SES_EVENTS_SNS_TOPIC_ARN),
        require_v2=settings.SNS_REQUIRE_SIGNATURE_V2,
        max_age=settings.SNS_MAX_AGE,
        cert_origin=_loopback(settings.AWS_ENDPOINT_URL) if local else None,
    )


def _loopback(url: str) -> str | None:
    """The stand-in's origin, trusted for certificates only on this machine."""
    origin = url.rstrip("/")
    try:
        SnsPolicy(frozenset(), require_v2=False, max_age=timedelta(0), cert_origin=origin)
    except ValueError:
        return None
    return origin


def _act(message: SnsMessage, raw: bytes) -> str:
    if message.type == NOTIFICATION:
        return "kept" if store(message, raw) else "duplicate"
    if message.type == SUBSCRIPTION_CONFIRMATION:
        _confirm(message)
        note(message, raw, ProviderEvent.Kind.SUBSCRIPTION_CONFIRMED)
        return "confirmed"
    # Its SubscribeURL would subscribe again: somebody must decide that.
    logger.warning("SNS says that a subscription ended", extra={"topic": message.topic_arn})
    note(message, raw, ProviderEvent.Kind.UNSUBSCRIBED)
    return "unsubscribed"


def _confirm(message: SnsMessage) -> None:
    """By the API: the SubscribeURL is never fetched."""
    region = message.topic_arn.split(":")[3]
    try:
        aws.sns(region).confirm_subscription(
            TopicArn=message.topic_arn,
            Token=message.token or "",
            AuthenticateOnUnsubscribe="true",
        )
    except (BotoCoreError, ClientError) as error:
        logger.warning("A subscription could not be confirmed: %s", error)
        raise Rejected(
            503, "confirmation_failed", "SNS did not confirm the subscription."
        ) from error


def _refused(rejection: Rejected) -> JsonResponse:
    metrics.CALLBACKS.labels("ses", str(rejection.status)).inc()
    if rejection.status in (401, 403):
        logger.warning("A callback was refused: %s", rejection.message)
    return JsonResponse(
        errors.body(rejection.status, rejection.name, rejection.message), status=rejection.status
    )
