"""boto3 clients, one per process and service: they are thread-safe and slow to create."""

from functools import cache
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal

import boto3
import botocore.session
from botocore.config import Config
from django.conf import settings

if TYPE_CHECKING:
    from mypy_boto3_sesv2 import SESV2Client
    from mypy_boto3_sns import SNSClient

_creation_lock = Lock()


def ses(region: str) -> "SESV2Client":
    client: SESV2Client = _shared_client("sesv2", region)
    return client


def sns(region: str) -> "SNSClient":
    client: SNSClient = _shared_client("sns", region)
    return client


def s3(region: str) -> Any:
    return _shared_client("s3", region)


@cache
def ses_regions() -> frozenset[str]:
    """The regions with SES according to botocore, plus this installation's region."""
    session = botocore.session.get_session()
    return frozenset(
        region
        for partition in session.get_available_partitions()
        for region in session.get_available_regions("sesv2", partition)
    ) | {settings.AWS_REGION}


def _shared_client(service: str, region: str) -> Any:
    # Creating a client is not thread-safe in boto3; several threads may need the first at once.
    with _creation_lock:
        return _client(service, region)


@cache
def _client(service: str, region: str) -> Any:
    return boto3.client(
        service,  # type: ignore[call-overload]
        region_name=region,
        endpoint_url=settings.AWS_ENDPOINT_URL or None,
        config=Config(
            # botocore's default lists each feature in use: it is rebuilt for each call and takes
            # a tenth of its time.
            user_agent=f"OpenSend/{settings.VERSION}",
            connect_timeout=5,
            read_timeout=15,
            max_pool_connections=max(10, settings.SEND_CONCURRENCY),
            # Retries are scheduled on the job's row: a hidden retry could send an email twice.
            # S3 calls have no row, and they are idempotent.
            retries={"total_max_attempts": 3 if service == "s3" else 1},
            # Regions opened since 2014 reject presigned URLs with an older signature.
            signature_version="s3v4" if service == "s3" else None,
            s3={"addressing_style": _s3_style()} if service == "s3" else None,
        ),
    )


def _s3_style() -> Literal["path", "virtual"]:
    """Path style for a stand-in, which has no host name per bucket; otherwise virtual hosts.

    Virtual style makes presigned URLs use the regional endpoint. botocore's default is the global
    one, which does not serve regions launched after 20 March 2019 (Amazon S3 User Guide, "Legacy
    endpoints").
    """
    return "path" if settings.AWS_ENDPOINT_URL else "virtual"
