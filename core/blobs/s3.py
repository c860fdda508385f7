"""Blobs as objects of one S3 bucket."""

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
    # Before every key: empty, or ending in a slash.
    folder: str

    @classmethod
    def at(cls, url: str) -> Self:
        """`s3://bucket` or `s3://bucket/some/folder`."""
        parts = urlsplit(url)
        folder = parts.path.strip("/")
        return cls(parts.netloc, f"{folder}/" if folder else "")

    def put(self, key: str, content: bytes) -> None:
        with _away():
            self._client.put_object(Bucket=self.bucket, Key=self.folder + key, Body=content)

    def read(self, key: str) -> bytes:
        with _away():
            try:
                answer = self._client.get_object(Bucket=self.bucket, Key=self.folder + key)
                content: bytes = answer["Body"].read()
            except self._client.exceptions.NoSuchKey:
                raise BlobMissing(key) from None
        return content

    def delete(self, keys: Sequence[str]) -> None:
        if not keys:
            return
        named = [{"Key": self.folder + key} for key in keys]
        with _away():
            answer = self._client.delete_objects(
                Bucket=self.bucket, Delete={"Objects": named, "Quiet": True}
            )
        if kept := answer.get("Errors"):
            raise BlobStoreUnavailable(
                f"S3 did not delete {len(kept)} objects: {kept[0].get('Message')}"
            )

    def keys(self, prefix: str, *, after: str, limit: int) -> list[str]:
        with _away():
            answer = self._client.list_objects_v2(
                Bucket=self.bucket,
                Prefix=self.folder + prefix,
                StartAfter=self.folder + after if after else "",
                MaxKeys=limit,
            )
        return [each["Key"].removeprefix(self.folder) for each in answer.get("Contents", [])]

    def signed_url(
        self, key: str, *, filename: str, content_type: str, expires_at: datetime
    ) -> str:
        url: str = self._client.generate_presigned_url(
            "get_object",
            Params={
                "Bucket": self.bucket,
                "Key": self.folder + key,
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
def _away() -> Iterator[None]:
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise BlobStoreUnavailable(f"S3 did not do it: {error}") from error
