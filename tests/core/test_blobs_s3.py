"""Blobs in S3: what is asked of it, and what its answers mean."""

from datetime import timedelta
from io import BytesIO
from urllib.parse import parse_qs, urlsplit

import pytest
from botocore.response import StreamingBody
from botocore.stub import Stubber
from django.utils import timezone

from core import aws
from core.blobs import BlobMissing, BlobsAway, blobs

KEY = {"Bucket": "files", "Key": "some/prefix/emails/a.0"}


@pytest.fixture
def store(settings):
    settings.BLOB_STORE = "s3://files/some/prefix/"
    return blobs()


@pytest.fixture
def s3():
    """The other side of the wire, as botocore's own description of S3 has it."""
    with Stubber(aws.s3("us-east-1")) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def test_put_and_read(store, s3):
    s3.add_response("put_object", {}, KEY | {"Body": b"hello"})
    s3.add_response("get_object", {"Body": StreamingBody(BytesIO(b"hello"), 5)}, KEY)

    store.put("emails/a.0", b"hello")
    assert store.read("emails/a.0") == b"hello"


def test_what_is_not_there_is_missing(store, s3):
    s3.add_client_error("get_object", "NoSuchKey", http_status_code=404)
    with pytest.raises(BlobMissing):
        store.read("emails/a.0")


def test_anything_else_is_worth_another_try(store, s3):
    s3.add_client_error("get_object", "AccessDenied", http_status_code=403)
    with pytest.raises(BlobsAway):
        store.read("emails/a.0")


def test_keys_are_those_behind_the_prefix(store, s3):
    asked = {"Bucket": "files", "Prefix": "some/prefix/emails/", "MaxKeys": 2}
    s3.add_response(
        "list_objects_v2",
        {"Contents": [{"Key": "some/prefix/emails/b.0"}]},
        asked | {"StartAfter": "some/prefix/emails/a.0"},
    )
    s3.add_response("list_objects_v2", {}, asked | {"StartAfter": ""})

    assert store.keys("emails/", after="emails/a.0", limit=2) == ["emails/b.0"]
    assert store.keys("emails/", after="", limit=2) == []


def test_deletion_says_what_was_kept(store, s3):
    named = {"Objects": [{"Key": KEY["Key"]}], "Quiet": True}
    s3.add_response("delete_objects", {}, {"Bucket": "files", "Delete": named})
    s3.add_response(
        "delete_objects",
        {"Errors": [{"Key": KEY["Key"], "Code": "AccessDenied", "Message": "Access Denied"}]},
        {"Bucket": "files", "Delete": named},
    )

    store.delete([])
    store.delete(["emails/a.0"])
    with pytest.raises(BlobsAway, match="Access Denied"):
        store.delete(["emails/a.0"])


def test_a_link_is_a_download_for_a_while(store):
    url = urlsplit(
        store.signed_url(
            "emails/a.0",
            filename="Grüße.html",
            content_type="text/html",
            expires_at=timezone.now() + timedelta(minutes=15),
        )
    )

    said = parse_qs(url.query)
    assert url.path.endswith("/some/prefix/emails/a.0")
    assert said["response-content-disposition"] == [
        "attachment; filename*=utf-8''Gr%C3%BC%C3%9Fe.html"
    ]
    assert said["response-content-type"] == ["text/html"]
    assert 890 <= int(said["X-Amz-Expires"][0]) <= 900
    assert said["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
