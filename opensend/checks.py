"""Settings that can't work stop `manage.py check` and the start of every process, by their name."""

import logging
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from cryptography.fernet import Fernet
from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from emails.providers import PROVIDERS
from emails.providers.smtp import parse_url
from ingest.sns.checks import is_topic_arn

TAG = "opensend"
# A provider call may take 45 seconds, and a lease that ends before it sends the mail twice.
MIN_SEND_LEASE = timedelta(seconds=60)

Problem = tuple[str, str]  # a setting and what is wrong with it


@checks.register(TAG)
def check_settings(**_: Any) -> list[checks.CheckMessage]:
    return [
        checks.Error(f"{setting} {problem}", id=f"opensend.{setting}")
        for find_problems in _CHECKS
        for setting, problem in find_problems()
    ]


def require_valid_settings() -> None:
    """For the start of web, workers and beat; ImproperlyConfigured names every wrong setting."""
    if errors := checks.run_checks(tags=[TAG]):
        raise ImproperlyConfigured("; ".join(error.msg for error in errors))


def _sending() -> Iterator[Problem]:
    provider: str = settings.EMAIL_PROVIDER
    if "." in provider:
        try:
            import_string(provider)
        except ImportError as error:
            yield "EMAIL_PROVIDER", f"can't be imported: {error}"
    elif provider not in PROVIDERS:
        yield "EMAIL_PROVIDER", f"is `{provider}`; it must be one of {', '.join(PROVIDERS)}"
    if provider == "smtp" and not settings.SMTP_URL:
        yield "SMTP_URL", "is needed, because EMAIL_PROVIDER is smtp"
    if settings.SMTP_URL:
        try:
            parse_url(settings.SMTP_URL)
        except ValueError as error:
            yield "SMTP_URL", str(error)
    if settings.SEND_UNKNOWN_POLICY not in ("resend", "hold"):
        yield (
            "SEND_UNKNOWN_POLICY",
            f"is `{settings.SEND_UNKNOWN_POLICY}`; it must be `resend` or `hold`",
        )
    if not settings.LOCAL_MODE and settings.SEND_LEASE < MIN_SEND_LEASE:
        yield "SEND_LEASE", f"must be at least {MIN_SEND_LEASE.total_seconds():.0f} seconds"


def _keys() -> Iterator[Problem]:
    if not settings.ENCRYPTION_KEYS:
        yield "ENCRYPTION_KEYS", "is needed: secrets in the database are encrypted with it"
    for number, key in enumerate(settings.ENCRYPTION_KEYS, start=1):
        try:
            Fernet(key)
        except ValueError:
            yield (
                "ENCRYPTION_KEYS",
                f"has no Fernet key in place {number}: 32 bytes in URL-safe base64, as"
                " cryptography's Fernet.generate_key() makes them",
            )
    if not settings.TRACKING_KEYS:
        yield "TRACKING_KEYS", "is needed: the links in mail are signed with it"


def _addresses() -> Iterator[Problem]:
    base = urlsplit(settings.BASE_URL)
    if base.scheme not in ("http", "https") or not base.hostname:
        yield "BASE_URL", "must be a URL such as https://mail.example.com"
    elif base.scheme == "http" and not settings.LOCAL_MODE:
        yield "BASE_URL", "must begin with https:// (only LOCAL_MODE allows http://)"
    for arn in settings.SES_EVENTS_SNS_TOPIC_ARN:
        if not is_topic_arn(arn):
            yield (
                "SES_EVENTS_SNS_TOPIC_ARN",
                f"has `{arn}`, which is no topic ARN such as"
                " arn:aws:sns:us-east-1:123456789012:opensend-events",
            )
    store = urlsplit(settings.BLOB_STORE)
    if store.scheme == "s3" and not store.netloc:
        yield "BLOB_STORE", "must name a bucket, as in s3://bucket/prefix"


def _numbers() -> Iterator[Problem]:
    for name in _POSITIVE:
        if getattr(settings, name) <= 0:
            yield name, "must be more than 0"
    if settings.LOG_LEVEL not in logging.getLevelNamesMapping():
        yield "LOG_LEVEL", f"is `{settings.LOG_LEVEL}`; it must be one such as INFO or DEBUG"


_POSITIVE = [
    "API_MAX_BODY_BYTES",
    "ATTACHMENT_BYTES_IN_FLIGHT",
    "INGEST_BATCH",
    "SEND_CONCURRENCY",
    "SEND_RATE_UNTIL_KNOWN",
    "WEB_THREADS",
    "WEBHOOK_CONCURRENCY",
    "WEBHOOK_PER_ENDPOINT",
    "WEBHOOK_TIMEOUT",
]
_CHECKS: list[Callable[[], Iterator[Problem]]] = [_sending, _keys, _addresses, _numbers]
