"""Blobs in S3: object keys, and how S3 errors are reported."""

import boto3
import pytest
from botocore.stub import Stubber
from django.utils import timezone

from core import aws
from core.blobs import BlobStoreUnavailable, blobs


@pytest.fixture
def store(settings, s3_twin, aws_at):
    settings.BLOB_STORE = "s3://files/some/prefix/"
    s3_twin.reset()
    aws_at(s3_twin.url)
    yield blobs()
    aws.s3("us-east-1").close()


def test_object_keys_have_the_prefix(store, s3_twin):
    s3 = boto3.client("s3", region_name="us-east-1", endpoint_url=s3_twin.url)
    s3.put_object(Bucket="files", Key="emails/elsewhere", Body=b"")
    store.put("emails/a.0", b"hello")

    listed = [each["Key"] for each in s3.list_objects_v2(Bucket="files")["Contents"]]
    s3.close()

    assert listed == ["emails/elsewhere", "some/prefix/emails/a.0"]
    assert store.keys("emails/", after="", limit=9) == ["emails/a.0"]


@pytest.mark.parametrize("code", ["AccessDenied", "NoSuchBucket"])
def test_s3_errors_are_reported_as_unavailable(store, s3_twin, code):
    s3_twin.fail(PutObject=code, GetObject=code, DeleteObjects=code, ListObjectsV2=code)

    for act in (
        lambda: store.put("emails/a.0", b""),
        lambda: store.read("emails/a.0"),
        lambda: store.delete(["emails/a.0"]),
        lambda: store.keys("emails/", after="", limit=1),
    ):
        with pytest.raises(BlobStoreUnavailable):
            act()


def test_a_transient_error_is_tried_three_times(store, s3_twin):
    s3_twin.fail(PutObject="SlowDown")
    with pytest.raises(BlobStoreUnavailable):
        store.put("emails/a.0", b"")
    assert len(s3_twin.calls(operation="PutObject")) == 3


def test_an_unreachable_server_is_reported_as_unavailable(store, settings):
    settings.AWS_ENDPOINT_URL = "http://127.0.0.1:9"
    aws._client.cache_clear()
    with pytest.raises(BlobStoreUnavailable):
        store.read("emails/a.0")


@pytest.mark.parametrize(
    ("endpoint", "bucket", "expected"),
    [
        ("", "files", "https://files.s3.eu-south-2.amazonaws.com/some/a/b"),
        ("", "my.files", "https://s3.eu-south-2.amazonaws.com/my.files/some/a/b"),
        ("http://s3.test:9000", "files", "http://s3.test:9000/files/some/a/b"),
    ],
)
def test_links_use_the_regional_endpoint(settings, endpoint, bucket, expected):
    settings.AWS_ENDPOINT_URL, settings.AWS_REGION = endpoint, "eu-south-2"
    settings.BLOB_STORE = f"s3://{bucket}/some"
    aws._client.cache_clear()
    url = blobs().signed_url(
        "a/b", filename="b", content_type="text/plain", expires_at=timezone.now()
    )
    aws._client.cache_clear()
    assert url.partition("?")[0] == expected


def test_objects_that_s3_could_not_delete_are_reported(store):
    """S3 responds with 200 and lists failed keys, which the twin cannot simulate."""
    with Stubber(aws.s3("us-east-1")) as s3:
        error = {
            "Key": "some/prefix/emails/a.0",
            "Code": "AccessDenied",
            "Message": "Access Denied",
        }
        s3.add_response("delete_objects", {"Errors": [error]})
        with pytest.raises(BlobStoreUnavailable, match="Access Denied"):
            store.delete(["emails/a.0"])
