"""Blobs as objects in an S3 bucket."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings
from django.utils import timezone
from django.utils.http import content_disposition_header

from core import aws
from core.blobs.errors import BlobMissing, BlobStoreUnavailable


@dataclass(frozen=True, slots=True)
class S3Store:
    bucket: str
    # Prepended to every key: empty, or ends with a slash.
    prefix: str

    @classmethod
    def from_url(cls, url: str) -> Self:
        """`s3://bucket` or `s3://bucket/some/prefix`."""
        parts = urlsplit(url)
        prefix = parts.path.strip("/")
        return cls(parts.netloc, f"{prefix}/" if prefix else "")

    def put(self, key: str, content: bytes) -> None:
        with _unavailable_on_error():
            self._client.put_object(Bucket=self.bucket, Key=self.prefix + key, Body=content)

    def read(self, key: str) -> bytes:
        with _unavailable_on_error():
            try:
                response = self._client.get_object(Bucket=self.bucket, Key=self.prefix + key)
                content: bytes = response["Body"].read()
            except self._client.exceptions.NoSuchKey:
                raise BlobMissing(key) from None
        return content

    def delete(self, keys: Sequence[str]) -> None:
        if not keys:
            return
        objects = [{"Key": self.prefix + key} for key in keys]
        with _unavailable_on_error():
            response = self._client.delete_objects(
                Bucket=self.bucket, Delete={"Objects": objects, "Quiet": True}
            )
        if errors := response.get("Errors"):
            raise BlobStoreUnavailable(
                f"S3 could not delete {len(errors)} objects: {errors[0].get('Message')}"
            )

    def keys(self, prefix: str, *, after: str, limit: int) -> list[str]:
        with _unavailable_on_error():
            response = self._client.list_objects_v2(
                Bucket=self.bucket,
                Prefix=self.prefix + prefix,
                StartAfter=self.prefix + after if after else "",
                MaxKeys=limit,
            )
        return [each["Key"].removeprefix(self.prefix) for each in response.get("Contents", [])]

    def signed_url(
        self, key: str, *, filename: str, content_type: str, expires_at: datetime
    ) -> str:
        url: str = self._client.generate_presigned_url(
            "get_object",
            Params={
                "Bucket": self.bucket,
                "Key": self.prefix + key,
                "ResponseContentDisposition": content_disposition_header(True, filename),
                "ResponseContentType": content_type,
            },
            ExpiresIn=max(1, int((expires_at - timezone.now()).total_seconds())),
        )
        return url

    @property
    def _client(self) -> Any:
        return aws.s3(settings.AWS_REGION)


@contextmanager
def _unavailable_on_error() -> Iterator[None]:
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise BlobStoreUnavailable(f"S3 request failed: {error}") from error
