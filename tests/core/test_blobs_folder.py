"""Blobs in a folder: written atomically, confined to it, downloaded by signed links only."""

from datetime import UTC, datetime, timedelta
from threading import Event, Thread

import pytest
import time_machine
from django.test import Client
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from core.blobs import BlobStoreUnavailable, blobs, links
from core.security.tokens import Purpose

SOON = datetime.now() + timedelta(days=2)
printable = st.characters(codec="utf-8")


@pytest.fixture
def folder(settings, tmp_path):
    settings.BLOB_STORE = str(tmp_path / "blobs")
    return tmp_path / "blobs"


@pytest.fixture
def store(folder):
    return blobs()


@pytest.fixture
def link(store):
    """`link(filename=..., content_type=...)`: the path of a signed link to a new blob."""

    def make(key="emails/a.0", content=b"hello", filename="a.txt", content_type="text/plain"):
        store.put(key, content)
        expires_at = timezone.now() + timedelta(minutes=15)
        url = store.signed_url(
            key, filename=filename, content_type=content_type, expires_at=expires_at
        )
        return url.removeprefix("http://testserver")

    return make


def test_a_put_leaves_one_file(store, folder):
    store.put("emails/2026-11-21/a.0", b"first")
    store.put("emails/2026-11-21/a.0", b"second")

    assert [path.name for path in folder.rglob("*") if path.is_file()] == ["a.0"]


def test_a_deletion_leaves_no_empty_folder(store, folder):
    store.put("emails/day/a.0", b"hello")
    store.delete(["emails/day/a.0"])

    assert not (folder / "emails" / "day").exists()


@pytest.mark.parametrize("key", ["../a", "emails/../../a", "/etc/passwd", "a", "emails//a", "E/A"])
def test_no_key_leads_outside_the_folder(store, key):
    with pytest.raises(ValueError, match="not a blob key"):
        store.read(key)
    with pytest.raises(ValueError, match="not a blob key"):
        store.put(key, b"")


def test_a_reader_never_sees_a_partial_blob(store):
    small, large = b"a" * 10, b"b" * 5_000_000
    store.put("emails/a.0", small)
    stop, seen = Event(), set()

    def read():
        while not stop.is_set():
            seen.add(len(store.read("emails/a.0")))

    reader = Thread(target=read)
    reader.start()
    for content in [large, small] * 10:
        store.put("emails/a.0", content)
    stop.set()
    reader.join()
    assert seen <= {len(small), len(large)}


def test_an_unwritable_folder_is_reported_as_unavailable(settings, tmp_path):
    (tmp_path / "file").write_text("in the way")
    settings.BLOB_STORE = str(tmp_path / "file" / "blobs")

    with pytest.raises(BlobStoreUnavailable):
        blobs().put("emails/a.0", b"hello")


def test_the_rest_of_a_crashed_put_is_listed_and_can_be_deleted(store, folder):
    store.put("emails/a.0", b"hello")
    (folder / "emails" / "a.1.0123.part").write_bytes(b"hel")

    assert store.keys("emails/", after="emails/a.0", limit=9) == ["emails/a.1.0123.part"]
    store.delete(["emails/a.1.0123.part"])
    assert store.keys("emails/", after="", limit=9) == ["emails/a.0"]


def test_html_is_downloaded_and_sandboxed(link):
    response = Client().get(link(filename="a.html", content_type="text/html"))

    assert response.getvalue() == b"hello"
    assert response["Content-Disposition"].startswith("attachment;")
    assert response["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert response["X-Content-Type-Options"] == "nosniff"


def test_a_link_expires(link):
    path = link()
    with time_machine.travel(timezone.now() + timedelta(minutes=16)):
        response = Client().get(path)
    assert (response.status_code, response.json()["name"]) == (410, "link_expired")


@pytest.mark.parametrize("alter", [lambda path: path[:-1], lambda path: path[:9] + "A" + path[10:]])
def test_a_link_with_an_invalid_signature_is_not_found(link, alter):
    assert Client().get(alter(link())).status_code == 404


def test_only_a_signed_link_is_reported_as_expired(link):
    path = link()
    with time_machine.travel(timezone.now() + timedelta(minutes=16)):
        assert Client().get(path[:-1]).status_code == 404


def test_a_token_for_another_purpose_is_not_found(link):
    path = link()
    payload = Purpose("blob").read(path.removeprefix("/blobs/"))
    other = Purpose("not a blob").sign(payload)
    assert Client().get(f"/blobs/{other}").status_code == 404


@given(st.text(printable), st.text(printable, max_size=300), st.text(printable), st.datetimes(SOON))
def test_a_token_contains_the_whole_link(key, filename, content_type, expires_at):
    link = links.Link(
        key=key,
        filename=filename,
        content_type=content_type,
        expires_at=expires_at.replace(microsecond=0, tzinfo=UTC),
    )
    token = links.sign(link).removeprefix("http://testserver/blobs/")
    assert links.verify(token) == link


def test_a_link_to_a_deleted_blob_is_not_found(link, store):
    path = link()
    store.delete(["emails/a.0"])
    assert Client().get(path).status_code == 404


def test_links_are_read_only(link):
    assert Client().post(link()).status_code == 405
