"""What a request asks of S3, as faults and the list of calls name it."""

from collections.abc import Container

_Key = tuple[str, str]  # method, and the part of the query that makes it another operation

_OF_A_BUCKET: dict[_Key, str] = {
    ("GET", "list-type"): "ListObjectsV2",
    ("GET", "location"): "GetBucketLocation",
    ("GET", "uploads"): "ListMultipartUploads",
    ("GET", ""): "ListObjects",
    ("HEAD", ""): "HeadBucket",
    ("POST", "delete"): "DeleteObjects",
    ("PUT", ""): "CreateBucket",
    ("DELETE", ""): "DeleteBucket",
}
_OF_AN_OBJECT: dict[_Key, str] = {
    ("GET", "uploadId"): "ListParts",
    ("GET", ""): "GetObject",
    ("HEAD", ""): "HeadObject",
    ("POST", "uploads"): "CreateMultipartUpload",
    ("POST", "uploadId"): "CompleteMultipartUpload",
    ("PUT", "partNumber"): "UploadPart",
    ("PUT", ""): "PutObject",
    ("DELETE", "uploadId"): "AbortMultipartUpload",
    ("DELETE", ""): "DeleteObject",
}
# Of parts of an object or a bucket that the product doesn't use: none of the above.
_OTHERS = frozenset({"acl", "tagging", "policy", "lifecycle", "versioning", "cors", "encryption"})


def operation_of(method: str, path: str, query: Container[str]) -> str | None:
    """Path style: `/bucket/key`. None for what the twin doesn't have."""
    bucket, _, key = path.lstrip("/").partition("/")
    if not bucket:
        return "ListBuckets" if method == "GET" else None
    if any(each in query for each in _OTHERS):
        return None
    for (asked, part), name in (_OF_AN_OBJECT if key else _OF_A_BUCKET).items():
        if asked == method and (not part or part in query):
            return name
    return None
