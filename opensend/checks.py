"""Settings that can't work stop `manage.py check` and the start of every process, by their name."""

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

import redis
from cryptography.fernet import Fernet
from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.http.request import validate_host
from django.utils.module_loading import import_string
from kombu import Connection

from emails.content.addresses import parse
from emails.providers import PROVIDERS
from emails.providers.smtp import parse_url
from ingest.sns.checks import is_topic_arn
from opensend.environment import Problem

TAG = "opensend"
# A provider call may take 45 seconds, and a lease that ends before it sends the mail twice.
MIN_SEND_LEASE = timedelta(seconds=60)
MIN_SECRET_KEY, MIN_TRACKING_KEY = 32, 16  # characters

_REGION = re.compile(r"[a-z]{2,}(-[a-z]+)+-\d")
_CONFIGURATION_SET = re.compile(r"[A-Za-z0-9_-]{0,64}")
_HOST = re.compile(r"\*|\.?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?|\[[0-9A-Fa-f:.]+\]")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
# PostgreSQL cuts longer names (NAMEDATALEN) and replaces other characters.
_SERVICE = re.compile(r"[ -~]{1,63}")


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


def _environment() -> Iterator[Problem]:
    """What can't be read at all; the other checks see the defaults instead."""
    yield from settings.ENVIRONMENT_PROBLEMS


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


def _aws() -> Iterator[Problem]:
    if not _REGION.fullmatch(settings.AWS_REGION):
        yield "AWS_REGION", f"is `{settings.AWS_REGION}`; it must be a region such as eu-west-1"
    if settings.AWS_ENDPOINT_URL and not _http_url(settings.AWS_ENDPOINT_URL):
        yield "AWS_ENDPOINT_URL", "must be an http(s) URL, or empty for the real AWS"
    if not _CONFIGURATION_SET.fullmatch(settings.SES_CONFIGURATION_SET):
        yield (
            "SES_CONFIGURATION_SET",
            f"is `{settings.SES_CONFIGURATION_SET}`; it must be a name of up to 64 letters, digits,"
            " `-` and `_`",
        )
    for arn in settings.SES_EVENTS_SNS_TOPIC_ARN:
        if not is_topic_arn(arn):
            yield (
                "SES_EVENTS_SNS_TOPIC_ARN",
                f"has `{arn}`, which is no topic ARN such as"
                " arn:aws:sns:us-east-1:123456789012:opensend-events",
            )


def _keys() -> Iterator[Problem]:
    if not settings.LOCAL_MODE and len(settings.SECRET_KEY) < MIN_SECRET_KEY:
        yield "SECRET_KEY", f"must be at least {MIN_SECRET_KEY} random characters"
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
    elif not settings.LOCAL_MODE and min(map(len, settings.TRACKING_KEYS)) < MIN_TRACKING_KEY:
        yield "TRACKING_KEYS", f"must be random keys of at least {MIN_TRACKING_KEY} characters each"


def _web() -> Iterator[Problem]:
    base = _http_url(settings.BASE_URL)
    if base is None:
        yield "BASE_URL", "must be a URL such as https://mail.example.com"
    elif base.path or base.query or base.fragment or "@" in base.netloc:
        yield "BASE_URL", "must be a URL without a path, such as https://mail.example.com"
    elif base.scheme == "http" and not settings.LOCAL_MODE:
        yield "BASE_URL", "must begin with https:// (only LOCAL_MODE allows http://)"
    wrong = [host for host in settings.ALLOWED_HOSTS if not _HOST.fullmatch(host)]
    if wrong:
        yield (
            "ALLOWED_HOSTS",
            f"has `{wrong[0]}`; it must list hosts such as mail.example.com or .example.com,"
            " without scheme and port",
        )
    elif base and base.scheme == "https" and not _is_allowed(base):
        yield "ALLOWED_HOSTS", f"must contain {base.hostname}, the host of BASE_URL"
    for origin in settings.CSRF_TRUSTED_ORIGINS:
        if origin != settings.BASE_URL and not _http_url(origin):
            yield (
                "CSRF_TRUSTED_ORIGINS",
                f"has `{origin}`; it must list origins such as https://mail.example.com",
            )


def _stores() -> Iterator[Problem]:
    if settings.REDIS_URL and not _is_redis_url(settings.REDIS_URL):
        yield "REDIS_URL", "can't be read; it must be a URL such as redis://localhost:6379/0"
    store = urlsplit(settings.BLOB_STORE)
    if store.scheme == "s3" and not _BUCKET.fullmatch(store.netloc):
        yield "BLOB_STORE", "must name a bucket, as in s3://bucket/prefix"
    elif store.scheme != "s3" and "://" in settings.BLOB_STORE:
        yield "BLOB_STORE", f"is `{settings.BLOB_STORE}`; it must be a folder or s3://bucket/prefix"
    for name in ("BLOB_STORE", "VAR_DIR"):
        folder = Path(getattr(settings, name))
        if folder.exists() and not folder.is_dir():
            yield name, f"is `{folder}`, a file; it must be a folder"


def _operations() -> Iterator[Problem]:
    if not _SERVICE.fullmatch(settings.SERVICE):
        yield "SERVICE", "must be 1 to 63 ASCII characters"
    mailboxes = [("OPERATOR_EMAILS", address) for address in settings.OPERATOR_EMAILS]
    if settings.OPERATOR_EMAILS and not settings.OPERATOR_EMAIL_FROM:
        yield "OPERATOR_EMAIL_FROM", "is needed, because OPERATOR_EMAILS is set"
    elif settings.OPERATOR_EMAIL_FROM:
        mailboxes.append(("OPERATOR_EMAIL_FROM", settings.OPERATOR_EMAIL_FROM))
    for name, mailbox in mailboxes:
        try:
            parse(mailbox)
        except ValueError:
            yield name, f"has `{mailbox}`, which is no mailbox such as Ada <ada@example.com>"


def _is_redis_url(text: str) -> bool:
    """Both redis-py and Celery's kombu take it: kombu has no `unix://`, and other parameters."""
    try:
        redis.ConnectionPool.from_url(text)
        broker = Connection(text)
        broker.transport  # noqa: B018 (raises KeyError if there is none of this scheme)
    except (KeyError, TypeError, ValueError):
        return False
    database = (broker.virtual_host or "").removeprefix("/")
    return not database or database.isdecimal()


def _http_url(text: str) -> SplitResult | None:
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return None
    return parts if parts.scheme in ("http", "https") and parts.hostname else None


def _is_allowed(base: SplitResult) -> bool:
    host = base.hostname or ""
    return validate_host(f"[{host}]" if ":" in host else host, settings.ALLOWED_HOSTS)


_CHECKS: list[Callable[[], Iterator[Problem]]] = [
    _environment,
    _sending,
    _aws,
    _keys,
    _web,
    _stores,
    _operations,
]
