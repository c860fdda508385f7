"""The contract of every blob store, tested with a folder and with the twin's S3."""

import time
from datetime import timedelta

import pytest
from django.utils import timezone

from core.blobs import BlobMissing

LARGE = bytes(range(256)) * (40 * 1024 * 1024 // 256)


@pytest.fixture
def link(blob_store):
    """`link(filename=..., content_type=...)`: the signed URL of a new blob."""

    def make(filename="a.txt", content_type="text/plain", expires_in=timedelta(minutes=15)):
        blob_store.put("emails/a.0", b"hello")
        return blob_store.signed_url(
            "emails/a.0",
            filename=filename,
            content_type=content_type,
            expires_at=timezone.now() + expires_in,
        )

    return make


@pytest.mark.parametrize("content", [b"", b"hello", LARGE], ids=["empty", "small", "large"])
def test_a_blob_is_read_back(blob_store, content):
    blob_store.put("emails/2026-11-21/a.0", content)
    assert blob_store.read("emails/2026-11-21/a.0") == content


def test_a_put_replaces_an_existing_blob(blob_store):
    blob_store.put("emails/a.0", b"first, and longer")
    blob_store.put("emails/a.0", b"second")

    assert blob_store.read("emails/a.0") == b"second"
    assert blob_store.keys("emails/", after="", limit=9) == ["emails/a.0"]


def test_reading_an_unknown_key_raises_blob_missing(blob_store):
    with pytest.raises(BlobMissing):
        blob_store.read("emails/a.0")


def test_deleted_blobs_are_missing(blob_store):
    for name in "abc":
        blob_store.put(f"emails/{name}.0", b"")

    blob_store.delete([])
    blob_store.delete(["emails/a.0", "emails/b.0", "emails/never-there"])

    assert blob_store.keys("emails/", after="", limit=9) == ["emails/c.0"]
    with pytest.raises(BlobMissing):
        blob_store.read("emails/a.0")


def test_keys_are_listed_in_order_and_in_pages(blob_store):
    names = [f"emails/{day}/{minute}/{name}" for day in "12" for minute in "34" for name in "xyz"]
    for name in [*reversed(names), "others/1/3/x", "emails-too/1/3/x"]:
        blob_store.put(name, b"")

    assert blob_store.keys("emails/", after="", limit=1000) == names
    listed = []
    for _ in range(3):
        listed += blob_store.keys("emails/", after=listed[-1] if listed else "", limit=5)
    assert listed == names
    assert blob_store.keys("emails/2/", after="", limit=1000) == names[6:]
    assert blob_store.keys("emails/", after="emails/1/4", limit=1) == names[3:4]


def test_a_thousand_blobs_are_deleted_at_once(blob_store):
    names = [f"emails/{number:04}.0" for number in range(1001)]
    for name in (names[0], names[999], names[1000]):
        blob_store.put(name, b"")

    blob_store.delete(names[:1000])

    assert blob_store.keys("emails/", after="", limit=1000) == names[1000:]


def test_a_link_downloads_the_blob(link, download):
    content, headers = download(link(filename="Grüße.pdf", content_type="application/pdf"))

    assert content == b"hello"
    assert headers["Content-Type"] == "application/pdf"
    assert headers["Content-Disposition"] == "attachment; filename*=utf-8''Gr%C3%BC%C3%9Fe.pdf"
    assert headers["Content-Length"] == "5"


def test_html_is_served_as_an_attachment(link, download):
    _, headers = download(link(filename="a.html", content_type="text/html"))
    assert headers["Content-Disposition"].startswith("attachment;")


def test_a_link_expires(link, download):
    url = link(expires_in=timedelta(seconds=1))
    time.sleep(1.1)
    assert b"expired" in download(url)[0]


@pytest.mark.parametrize("place", [-1, 45])
def test_a_modified_link_downloads_nothing(link, download, place):
    url = link()
    other = "A" if url[place] != "A" else "B"
    changed = url[:place] + other + (url[place + 1 :] if place != -1 else "")

    assert download(url)[0] == b"hello"
    assert download(changed)[0] != b"hello"
