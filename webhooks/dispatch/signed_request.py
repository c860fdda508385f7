"""The signed HTTP request that carries an event, for deliveries and test events alike."""

import binascii
import logging
from datetime import datetime

from cryptography.fernet import InvalidToken
from django.conf import settings

from core.outbound import OutboundClient, Outcome
from webhooks.dispatch import custom_headers, signing
from webhooks.models import Endpoint

logger = logging.getLogger(__name__)

MAX_BODY = 16 * 1024  # bytes read of a response
EXCERPT = 1000  # characters stored of a response
USER_AGENT = f"OpenSend-Webhooks/{settings.VERSION}"


async def post(
    client: OutboundClient,
    endpoint: Endpoint,
    *,
    event_id: str,
    body: str,
    attempt: int,
    at: datetime,
) -> Outcome:
    """Sign and send once. Every error becomes an Outcome, so that other requests go on."""
    try:
        content = body.encode()
        headers = _headers(
            endpoint,
            event_id=event_id,
            body=content,
            attempt=attempt,
            timestamp=int(at.timestamp()),
        )
        return await client.request(
            "POST",
            endpoint.url,
            headers=headers,
            body=content,
            timeout=settings.WEBHOOK_TIMEOUT,
            max_body=MAX_BODY,
        )
    except (InvalidToken, binascii.Error):
        logger.exception("No key of ENCRYPTION_KEYS decrypts the secrets of %s", endpoint.pk)
        return _unsent("secret_unreadable", "The signing secret could not be decrypted")
    except Exception:
        logger.exception("Could not send event %s to endpoint %s", event_id, endpoint.pk)
        return _unsent("internal_error", "The request could not be made")


def error_code(outcome: Outcome) -> str:
    """The attempt's `error`: "" for success, else `timeout`, `http_500`, ..."""
    if outcome.succeeded:
        return ""
    return outcome.error or f"http_{outcome.status}"


def response_excerpt(outcome: Outcome) -> str:
    """The start of the response body, as storable text."""
    return storable(outcome.body.decode("utf-8", "replace"))[:EXCERPT]


def storable(text: str) -> str:
    """Replace what a PostgreSQL `text` can't store: NUL and lone surrogates."""
    encodable = text.encode("utf-8", "replace").decode()
    return encodable.replace("\x00", "\N{REPLACEMENT CHARACTER}")


def _headers(
    endpoint: Endpoint, *, event_id: str, body: bytes, attempt: int, timestamp: int
) -> dict[str, str]:
    return {
        **custom_headers.decrypt(endpoint.encrypted_headers),
        **signing.headers(
            signing.decrypt_keyring(endpoint.encrypted_keyring),
            event_id=event_id,
            attempt=attempt,
            timestamp=timestamp,
            body=body,
        ),
        "Content-Type": "application/json",
        "User-Agent": USER_AGENT,
    }


def _unsent(error: str, message: str) -> Outcome:
    return Outcome(
        status=None,
        error=error,
        message=message,
        body=b"",
        truncated=False,
        duration_ms=0,
        address="",
    )
