"""boto3 clients, one a process and service: they are thread-safe and slow to make."""

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

_making = Lock()


def ses(region: str) -> "SESV2Client":
    client: SESV2Client = _one("sesv2", region)
    return client


def sns(region: str) -> "SNSClient":
    client: SNSClient = _one("sns", region)
    return client


def s3(region: str) -> Any:
    return _one("s3", region)


@cache
def ses_regions() -> frozenset[str]:
    """The regions where SES is, as far as botocore knows, and the installation's own."""
    session = botocore.session.get_session()
    return frozenset(
        region
        for partition in session.get_available_partitions()
        for region in session.get_available_regions("sesv2", partition)
    ) | {settings.AWS_REGION}


def _one(service: str, region: str) -> Any:
    # Many threads may want the first one at once, and boto3 makes one at a time safely.
    with _making:
        return _client(service, region)


@cache
def _client(service: str, region: str) -> Any:
    return boto3.client(
        service,  # type: ignore[call-overload]
        region_name=region,
        endpoint_url=settings.AWS_ENDPOINT_URL or None,
        config=Config(
            # botocore's own, which names each feature in use, is made anew for each call and
            # takes a tenth of it.
            user_agent=f"OpenSend/{settings.VERSION}",
            connect_timeout=5,
            read_timeout=15,
            max_pool_connections=max(10, settings.SEND_CONCURRENCY),
            # A retry belongs to the row that is the job: a hidden second try could send twice.
            # Blobs have no rows of their own, and to write one twice does no harm.
            retries={"total_max_attempts": 3 if service == "s3" else 1},
            # Links to objects are signed for S3 as it is today.
            signature_version="s3v4" if service == "s3" else None,
            s3={"addressing_style": _s3_style()} if service == "s3" else None,
        ),
    )


def _s3_style() -> Literal["path", "virtual"]:
    """Stand-ins have no names for each bucket. In AWS links by name lead to the region itself.

    By botocore's default they lead to S3's global endpoint, which knows nothing of buckets in
    regions from 2019 on (Amazon S3 User Guide, "Legacy endpoints").
    """
    return "path" if settings.AWS_ENDPOINT_URL else "virtual"
