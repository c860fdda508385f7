"""S3 in the twin, called as boto3 calls it: path style, signed, unchanged."""

from io import BytesIO
from urllib.parse import urlsplit

import boto3
import pytest
import requests
from botocore.exceptions import ClientError

from tests.clients import wait_until

MEBIBYTE = 1024 * 1024


@pytest.fixture
def s3(twin, connect):
    client = connect(twin, "s3")
    client.create_bucket(Bucket="files")
    return client


@pytest.fixture
def link(twin):
    """`link(secret=..., seconds=..., **params)`: a presigned GET of `files/a b.txt`."""

    def make(*, secret="test", method="get_object", seconds=60, **params):
        client = boto3.client(
            "s3",
            region_name="us-east-1",
            endpoint_url=twin.url,
            aws_access_key_id="AKIDEXAMPLE",
            aws_secret_access_key=secret,
            config=boto3.session.Config(signature_version="s3v4"),
        )
        asked = {"Bucket": "files", "Key": "a b.txt"} | params
        url = client.generate_presigned_url(method, Params=asked, ExpiresIn=seconds)
        client.close()
        return url

    return make


def refusal(call, **params):
    with pytest.raises(ClientError) as raised:
        call(**params)
    error = raised.value.response
    return error["Error"]["Code"], error["ResponseMetadata"]["HTTPStatusCode"]


@pytest.mark.parametrize("key", ["a", "some/folder/a.0", "a b+c&d=e?f#g%2Fh", "Grüße/日本", "a//b"])
def test_what_was_put_is_got(s3, key):
    content = bytes(range(256))
    s3.put_object(Bucket="files", Key=key, Body=content, ContentType="image/png")

    got = s3.get_object(Bucket="files", Key=key)

    assert (got["Body"].read(), got["ContentType"]) == (content, "image/png")
    assert [each["Key"] for each in s3.list_objects_v2(Bucket="files")["Contents"]] == [key]


def test_a_range_is_a_part(s3):
    s3.put_object(Bucket="files", Key="a", Body=b"0123456789")

    got = s3.get_object(Bucket="files", Key="a", Range="bytes=2-4")

    assert (got["Body"].read(), got["ContentRange"]) == (b"234", "bytes 2-4/10")
    assert got["ResponseMetadata"]["HTTPStatusCode"] == 206


def test_a_head_tells_the_size(s3):
    s3.put_object(Bucket="files", Key="a", Body=b"hello")

    assert s3.head_object(Bucket="files", Key="a")["ContentLength"] == 5
    assert refusal(s3.head_object, Bucket="files", Key="b") == ("404", 404)


def test_what_is_not_there(s3):
    assert refusal(s3.get_object, Bucket="files", Key="a") == ("NoSuchKey", 404)
    assert refusal(s3.get_object, Bucket="other", Key="a") == ("NoSuchBucket", 404)
    assert refusal(s3.put_object, Bucket="other", Key="a", Body=b"") == ("NoSuchBucket", 404)
    s3.delete_object(Bucket="files", Key="a")


def test_what_was_deleted_is_gone(s3):
    for key in "abc":
        s3.put_object(Bucket="files", Key=key, Body=b"")

    s3.delete_object(Bucket="files", Key="a")
    s3.delete_objects(Bucket="files", Delete={"Objects": [{"Key": "b"}, {"Key": "never"}]})

    assert [each["Key"] for each in s3.list_objects_v2(Bucket="files")["Contents"]] == ["c"]


def test_lists_go_by_prefix_in_order_and_by_pages(s3):
    for key in ["a/3", "a/1", "b/1", "a/2"]:
        s3.put_object(Bucket="files", Key=key, Body=b"")

    def listed(**asked):
        answer = s3.list_objects_v2(Bucket="files", **asked)
        return [each["Key"] for each in answer.get("Contents", [])], answer["IsTruncated"]

    assert listed(Prefix="a/") == (["a/1", "a/2", "a/3"], False)
    assert listed(Prefix="a/", MaxKeys=2) == (["a/1", "a/2"], True)
    assert listed(Prefix="a/", StartAfter="a/2") == (["a/3"], False)


def test_large_objects_come_in_parts(s3):
    content = bytes(range(256)) * (12 * MEBIBYTE // 256)
    s3.upload_fileobj(BytesIO(content), "files", "large")

    assert s3.get_object(Bucket="files", Key="large")["Body"].read() == content


def test_an_object_as_large_as_a_mail_may_be(s3):
    content = b"a" * 40 * MEBIBYTE
    s3.put_object(Bucket="files", Key="large", Body=content)
    assert s3.get_object(Bucket="files", Key="large")["Body"].read() == content


def test_a_link_downloads_under_the_name_and_type_that_it_says(s3, link):
    s3.put_object(Bucket="files", Key="a b.txt", Body=b"hello")

    answer = requests.get(
        link(
            ResponseContentDisposition="attachment; filename*=utf-8''Gr%C3%BC%C3%9Fe.txt",
            ResponseContentType="text/plain; charset=utf-8",
        ),
        timeout=5,
    )

    assert (answer.status_code, answer.content) == (200, b"hello")
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.headers["Content-Disposition"].endswith("Gr%C3%BC%C3%9Fe.txt")


@pytest.mark.parametrize(
    "changed",
    [
        ("/a%20b.txt", "/c.txt"),
        ("X-Amz-Expires=60", "X-Amz-Expires=61"),
        ("response-content-type=text%2Fplain", "response-content-type=text%2Fhtml"),
        ("X-Amz-Signature=", "X-Amz-Signature=0"),
    ],
)
def test_a_link_that_was_changed_is_refused(s3, link, changed):
    for key in ("a b.txt", "c.txt"):
        s3.put_object(Bucket="files", Key=key, Body=b"hello")
    url = link(ResponseContentType="text/plain")
    assert requests.get(url, timeout=5).status_code == 200
    assert changed[0] in url

    answer = requests.get(url.replace(*changed), timeout=5)

    assert (answer.status_code, "SignatureDoesNotMatch" in answer.text) == (403, True)


def test_a_link_is_for_one_method_and_of_one_secret(s3, link):
    s3.put_object(Bucket="files", Key="a b.txt", Body=b"hello")

    assert requests.delete(link(), timeout=5).status_code == 403
    assert requests.get(link(secret="another"), timeout=5).status_code == 403
    assert requests.put(link(method="put_object"), data=b"new", timeout=5).status_code == 200
    assert requests.get(link(), timeout=5).content == b"new"


def test_a_link_ends(s3, link):
    s3.put_object(Bucket="files", Key="a b.txt", Body=b"hello")
    url = link(seconds=1)
    answers = [requests.get(url, timeout=5)]
    wait_until(lambda: not answers[-1].ok or answers.append(requests.get(url, timeout=5)))
    answer = answers[-1]
    assert (answer.status_code, "Request has expired" in answer.text) == (403, True)


def test_without_a_signature_there_is_nothing(twin, s3, link):
    s3.put_object(Bucket="files", Key="a b.txt", Body=b"hello")
    bare = urlsplit(link())._replace(query="").geturl()
    unfinished = link().replace("X-Amz-Expires", "expires")

    assert requests.get(bare, timeout=5).status_code == 403
    assert requests.get(unfinished, timeout=5).status_code == 400


def test_faults_and_calls_go_by_the_operation(twin, s3):
    twin.fault(fail_calls={"PutObject": "SlowDown"})
    assert refusal(s3.put_object, Bucket="files", Key="a", Body=b"")[0] == "SlowDown"
    twin.fault(fail_calls={})
    s3.put_object(Bucket="files", Key="a", Body=b"")

    calls = twin.get("calls", operation="PutObject").json()
    assert [(each["service"], each["error"]) for each in calls] == [
        ("s3", "SlowDown"),
        ("s3", None),
    ]


def test_what_the_twin_does_not_play_is_refused(s3):
    assert refusal(s3.get_bucket_policy, Bucket="files") == ("NotImplemented", 501)


def test_a_reset_of_all_empties_it(twin, s3):
    s3.put_object(Bucket="files", Key="a", Body=b"")
    twin.post("reset", all="true")
    assert s3.list_buckets()["Buckets"] == []


def test_buckets_that_are_there_from_the_start(start_twin, connect, tmp_path):
    twin = start_twin(tmp_path, "--bucket", "files")
    s3 = connect(twin, "s3")

    s3.put_object(Bucket="files", Key="a", Body=b"")
    twin.post("reset", all="true")
    assert "Contents" not in s3.list_objects_v2(Bucket="files")
